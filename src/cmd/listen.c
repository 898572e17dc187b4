/* What `est-serve` and `va-serve` have in common. Guarantees: an option wins over lamassu.yaml; what lamassu.yaml asks
 * for and cannot be had (a file, a check of clients without TLS) stops the listener instead of being left out. */
#include "cmd/listen.h"

#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "cmd/identify.h"
#include "net/net.h"
#include "pki/keys.h"

int listen_need(struct ctx *ctx, struct err *e)
{
	if (net_need(ctx, e) != 0)
		return -1;
	return listen_here ? 0 : err_set(e, ERR_UNSUPPORTED, "this program was built without listeners");
}

int listen_read_tls(struct ctx *ctx, const char *cert, const char *key, struct listen_options *o, struct err *e)
{
	const char *rest;

	if (fs_read_input(ctx->arena, cert, FS_LIMIT_CERT, &o->tls_cert, e) != 0)
		return -1;
	o->tls_cert_file = strcmp(cert, "-") == 0 ? NULL : cert;
	if (keys_scheme(key, &rest) || (strcmp(key, "-") != 0 && !strchr(key, '/') && !fs_exists(key))) {
		o->tls_key_ref = key;
		return 0;
	}
	o->tls_key_file = strcmp(key, "-") == 0 ? NULL : key;
	return fs_read_input(ctx->arena, key, FS_LIMIT_CERT, &o->tls_key, e);
}

static int read_file(struct arena *a, const char *top, const char *path, const char *field, const char **ret_path,
		     struct bytes *ret, struct err *e)
{
	*ret_path = *path == '/' ? path : fs_join(a, top, path);
	return fs_read_found(a, *ret_path, FS_LIMIT_CERT, ret, e) != 0 ? err_ctx(e, "lamassu.yaml: http.%s", field) : 0;
}

static int read_tls(struct ctx *ctx, const struct listen_flags *f, const struct http_tls *t, const char *top,
		    struct listen_options *o, struct err *e)
{
	if (!o->min_version)
		o->min_version = http_min_version_names[t->min_version];
	o->ciphers = t->cipher_suites;
	if (o->tls_cert.n || f->no_file || !t->cert_file)
		return 0;
	return read_file(ctx->arena, top, t->cert_file, "tls.cert_file", &o->tls_cert_file, &o->tls_cert, e) != 0 ||
	       read_file(ctx->arena, top, t->key_file, "tls.key_file", &o->tls_key_file, &o->tls_key, e) != 0 ? -1 : 0;
}

static int read_clients(struct ctx *ctx, const struct http_client_auth *c, const char *top, struct listen_options *o,
			struct err *e)
{
	const char *ignored;

	o->ask_client = c->enabled;
	o->require_client = c->required;
	o->check_client = c->enabled && (c->ca_file || c->required);
	return o->check_client && c->ca_file ? read_file(ctx->arena, top, c->ca_file, "client_auth.ca_file", &ignored,
							 &o->client_cas, e) : 0;
}

int listen_settings(struct ctx *ctx, const struct listen_flags *f, const struct config *c, const char *top,
		    struct listen_options *o, struct err *e)
{
	char **one = arena_new_array(ctx->arena, 1, char *);

	if (identify_by(ctx, cli_globals(ctx), c, top, NULL, e) != 0 || identify_required(ctx, c, e) != 0)
		return -1;
	o->min_version = f->min_tls;
	o->logs = c->logs;
	if (o->listen.n == 0) {
		*one = arena_printf(ctx->arena, "127.0.0.1:%lld", (long long)(c->http.port ? c->http.port : f->port));
		o->listen = (struct strv){ .v = one, .n = 1 };
	}
	return read_tls(ctx, f, &c->http.tls, top, o, e) != 0 || read_clients(ctx, &c->http.client_auth, top, o, e) != 0
	       ? -1 : 0;
}

void listen_say(const char *line)
{
	SCOPED_BUF text = buf_init(BUF_TEXT);
	struct err ignored = { 0 };

	buf_printf(&text, "lamassu: %s\n", line);
	if (fs_write_fd(STDERR_FILENO, buf_bytes(&text), &ignored) != 0)
		return; /* nobody reads it */
}

int listen_end(struct ctx *ctx, const struct schema *type, const struct summary *s, struct err *e)
{
	if (out_record(ctx, type, s, e) != 0)
		return -1;
	if (!s->reached)
		return err_set(e, ERR_PARTIAL, "it ended after %lld of %lld", (long long)s->answered,
			       (long long)s->target);
	return 0;
}
