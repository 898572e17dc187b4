/* Who we are, and who the server is. Guarantees: a password, a token or a secret is never an argument; a server that is
 * not known is asked for its authorities and nothing else, where that is to be believed (--trust-on-first-use); a load
 * goes to another machine only when somebody says yes. */
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "cmd/enrolment.h"
#include "crypto/key.h"
#include "crypto/name.h"

enum { PSK_LEN_MIN = 16, PSK_LEN_MAX = 64 };

static int read_token(struct ctx *ctx, const char *file, const char **ret, struct err *e)
{
	struct bytes text;
	char *token;

	if (fs_read_input(ctx->arena, file, FS_LIMIT_CERT, &text, e) != 0)
		return -1;
	if (text_token(ctx->arena, text, &token, e) != 0)
		return err_ctx(e, "--token-file");
	*ret = arena_printf(ctx->arena, "Bearer %s", token);
	return 0;
}

static int read_password(struct ctx *ctx, const char *user, const char **ret, struct err *e)
{
	const struct secret_ask ask = { .what = arena_printf(ctx->arena, "password of %s", user),
					.env = "LAMASSU_EST_PASSWORD" };
	char *password, *both;

	if (strchr(user, ':'))
		return err_set(e, ERR_USAGE, "--user: a name for HTTP Basic has no colon (RFC 7617 2)");
	if (ctx->secret(ctx, &ask, &password, e) != 0)
		return -1;
	both = arena_printf(ctx->arena, "%s:%s", user, password);
	*ret = arena_printf(ctx->arena, "Basic %s", b64_encode(ctx->arena, bytes_of(both)));
	return 0;
}

/* Hexadecimal digits, as `device psk` and other programs write them. */
static int read_psk(struct ctx *ctx, const struct client_args *a, struct est_target *t, struct err *e)
{
	struct bytes text, key;
	size_t n;

	if (fs_read_input(ctx->arena, a->psk_file, FS_LIMIT_CERT, &text, e) != 0)
		return -1;
	n = text.n;
	while (n && strchr("\r\n", text.p[n - 1]) && text.p[n - 1])
		n--;
	if (hex_decode(ctx->arena, arena_strndup(ctx->arena, (const char *)text.p, n), &key) != 0 ||
	    key.n < PSK_LEN_MIN || key.n > PSK_LEN_MAX)
		return err_set(e, ERR_INVALID, "--psk-file: it must hold from %d to %d hexadecimal digits",
			       2 * PSK_LEN_MIN, 2 * PSK_LEN_MAX);
	t->psk_identity = a->psk_identity ? a->psk_identity : a->device;
	t->psk = key;
	return 0;
}

int enrolment_check(const struct client_args *a, struct err *e)
{
	if (!a->cert && a->key)
		return err_set(e, ERR_USAGE, "--key goes with --cert");
	if (a->user && a->token_file)
		return err_set(e, ERR_USAGE, "--user excludes --token-file");
	if (a->pin && (a->ca_file || a->trust_on_first_use))
		return err_set(e, ERR_USAGE, "--pin excludes --ca-file and --trust-on-first-use");
	if (a->trust_on_first_use && !a->ca_file)
		return err_set(e, ERR_USAGE, "--trust-on-first-use needs --ca-file, where the authorities are stored");
	if (a->psk_file &&
	    (a->ca_file || a->pin || a->trust_on_first_use || a->cert || a->user || a->token_file || a->count))
		return err_set(e, ERR_USAGE,
			       "--psk-file excludes other ways to know the server and to be known, and --count");
	if (a->psk_file && !a->psk_identity && !a->device)
		return err_set(e, ERR_USAGE, "--psk-file: say with --psk-identity who we are");
	if (a->psk_identity && !a->psk_file)
		return err_set(e, ERR_USAGE, "--psk-identity goes with --psk-file");
	if (a->server_key && (a->key_type || a->same_key))
		return err_set(e, ERR_USAGE, "--server-key excludes --key-type and --same-key: the server chooses");
	if (a->server_key && token_is_uri(a->key_out))
		return err_set(e, ERR_USAGE, "--server-key excludes a token: the key comes out of the server");
	if (a->encrypted && token_is_uri(a->key))
		return err_set(e, ERR_USAGE, "--encrypted: a key in a token decrypts nothing here");
	if (a->remove_old_key && (!token_is_uri(a->key) || a->same_key))
		return err_set(e, ERR_USAGE, "--remove-old-key goes with a --key in a token, and without --same-key");
	if (a->encrypted && !(a->server_key && a->cert))
		return err_set(e, ERR_USAGE,
			       "--encrypted goes with --server-key and --cert: the key comes encrypted to that "
			       "certificate's");
	return 0;
}

const char *enrolment_key(const struct client_args *a)
{
	return a->key ? a->key : a->cert;
}

int enrolment_first_cert(struct arena *a, struct bytes text, const char *path, struct cert *ret, struct err *e)
{
	struct bytes der;

	if (!pem_next(a, &text, "CERTIFICATE", NULL, &der) || !der.n)
		return err_set(e, ERR_INVALID, "%s: no certificate in PEM", path);
	return cert_parse(a, der, ret, e) != 0 ? err_ctx(e, "%s", path) : 0;
}

int enrolment_read_cert(struct arena *a, const char *path, struct cert *ret, struct err *e)
{
	struct bytes text;

	return fs_read_input(a, path, FS_LIMIT_CERT, &text, e) != 0 ? -1 : enrolment_first_cert(a, text, path, ret, e);
}

/* To whom a key of the server's making is encrypted. */
static int set_recipient(struct enrolment_run *r, struct err *e)
{
	struct arena *a = r->ctx->arena;
	struct bytes text;

	if (enrolment_read_cert(a, r->a->cert, &r->to.cert, e) != 0 ||
	    fs_read_input(a, enrolment_key(r->a), FS_LIMIT_CERT, &text, e) != 0 ||
	    key_load(text, NULL, &r->to.key, e) != 0)
		return -1;
	r->target.to = &r->to;
	return 0;
}

/* The certificate says which key of the token is ours. */
static int set_who(struct enrolment_run *r, struct err *e)
{
	struct cert c;

	if (enrolment_read_cert(r->ctx->arena, r->a->cert, &c, e) != 0 ||
	    (!r->who && token_open(r->ctx, r->a->key, &r->who, e) != 0) ||
	    token_key_for(r->who, c.spki, &r->who_key, e) != 0)
		return -1;
	r->target.key = r->who_key;
	r->target.key_file = NULL;
	return 0;
}

int enrolment_target(struct enrolment_run *r, struct err *e)
{
	const struct client_args *a = r->a;
	struct est_target *t = &r->target;
	bool loopback;

	*t = (struct est_target){ .url = a->est, .label = a->label, .ca_file = a->ca_file, .pin = a->pin,
				  .cert_file = a->cert, .key_file = enrolment_key(a),
				  .patience_ms = a->timeout.secs * 1000, .fresh = a->reconnect };
	if (est_has_host(a->est, &loopback, e) != 0)
		return -1;
	if (a->count && !loopback &&
	    cli_confirm(r->ctx, e, "put a load of %s on %s, which is not this machine",
				text_count(r->ctx->arena, (uint64_t)a->count, "device", NULL), a->est) != 0)
		return -1;
	if ((token_is_uri(a->key) && set_who(r, e) != 0) || (a->encrypted && set_recipient(r, e) != 0))
		return -1;
	if (a->psk_file)
		return read_psk(r->ctx, a, t, e);
	if (a->token_file)
		return read_token(r->ctx, a->token_file, &t->authorization, e);
	return a->user ? read_password(r->ctx, a->user, &t->authorization, e) : 0;
}

int enrolment_put_cas(struct ctx *ctx, const char *path, const struct est_cas *cas, struct err *e)
{
	SCOPED_BUF text = buf_init(BUF_TEXT);

	for (size_t i = 0; i < cas->n; i++) {
		struct bytes pem = cert_pem(ctx->arena, cas->v[i]);

		buf_put(&text, pem.p, pem.n);
	}
	return fs_write(path, buf_bytes(&text), 0644, true, e);
}

/* The authorities of a server that nothing is known of, into the file that all later runs believe. Nothing but that is
 * asked of it. */
static int first_use(struct enrolment_run *r, struct err *e)
{
	const struct est_target stranger = { .url = r->target.url, .label = r->target.label,
					     .patience_ms = r->target.patience_ms };
	struct arena *ar = r->ctx->arena;
	struct est *est = NULL;
	struct est_cas cas;
	char *fingerprint;
	int rc;

	if (est_open_unknown(r->ctx, &stranger, &est, &fingerprint, e) != 0)
		return -1;
	rc = est_get_cas(est, ar, &cas, e);
	est_close(est);
	if (rc != 0)
		return -1;
	ctx_warn(r->ctx, "trusted on first use: the server's certificate has the SHA-256 fingerprint %s", fingerprint);
	for (size_t i = 0; i < cas.n; i++) {
		struct cert c;
		char *subject;

		if (cert_parse(ar, cas.v[i], &c, e) != 0 || name_format(ar, c.subject, &subject, e) != 0)
			return -1;
		ctx_warn(r->ctx, "trusted on first use: authority %s, SHA-256 %s",
			 text_escape(ar, bytes_of(subject)), cert_fingerprint(ar, &c));
	}
	return r->ctx->dry_run ? 0 : enrolment_put_cas(r->ctx, r->a->ca_file, &cas, e);
}

/* A file that is not there is our fault, not the server's. */
static int have_files(const struct client_args *a, struct err *e)
{
	const struct {
		const char *option, *path;
	} files[] = {
		{ "--ca-file", a->trust_on_first_use ? NULL : a->ca_file },
		{ "--cert", a->cert },
		{ "--key", token_is_uri(a->key) ? NULL : a->key },
	};

	for (size_t i = 0; i < COUNT(files); i++)
		if (files[i].path && !fs_exists(files[i].path))
			return err_set(e, ERR_NOT_FOUND, "%s: %s: no such file or directory", files[i].option,
				       files[i].path);
	return 0;
}

int enrolment_connect(struct enrolment_run *r, struct err *e)
{
	if (r->a->trust_on_first_use && !fs_exists(r->a->ca_file) && first_use(r, e) != 0)
		return -1;
	if (have_files(r->a, e) != 0)
		return -1;
	return est_open(r->ctx, &r->target, &r->est, e);
}

