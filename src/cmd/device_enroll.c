/* `device enroll` and `device renew`: the device's side of EST. They need no repository. Guarantees: nothing is replaced before the new
 * certificate was found to be for the new key and to lead to the server's authorities; what is cut off goes on in the next run
 * (client/pair.h); a password or a token is never an argument. */
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

#include "base/fs.h"
#include "base/text.h"
#include "client/load.h"
#include "client/pair.h"
#include "client/token.h"
#include "cmd/device.h"
#include "crypto/cert.h"
#include "crypto/csr.h"
#include "crypto/key.h"
#include "crypto/name.h"
#include "crypto/ossl.h"

enum { DAY = 86400, RENEW_PERCENT = 33, PSK_LEN_MIN = 16, PSK_LEN_MAX = 64 };

struct client_args {
	const char *device; /* enroll */
	const char *est, *label, *ca_file, *pin, *cert, *key, *user, *token_file, *psk_file, *psk_identity, *subject, *key_type, *out, *key_out, *cacerts_out, *exec;
	struct strv san;
	struct dur timeout;
	bool chain, trust_on_first_use, server_key, encrypted;
	int64_t count, connections, days, percent; /* count, connections, prefix: enroll; days, percent, same_key: renew */
	const char *prefix;
	bool reconnect, same_key, force, remove_old_key;
};

/* One enrolment of this device. */
struct enrolment_run {
	struct ctx *ctx;
	const struct client_args *a;
	enum est_op op;
	struct est_target target;
	struct pair_paths paths;
	struct bytes subject; /* DER */
	struct strv san;
	struct est *est;
	struct pending pending;
	struct est_recipient to; /* --encrypted */
	struct token *who, *token; /* where our key is, and where the new one is or will be; NULL: in files */
	EVP_PKEY *who_key;
	struct cert old;           /* renew: the certificate that is replaced */
};

static void release(struct enrolment_run *r)
{
	est_close(r->est);
	EVP_PKEY_free(r->pending.key);
	EVP_PKEY_free(r->to.key);
	EVP_PKEY_free(r->who_key);
	if (r->token != r->who)
		token_close(r->token);
	token_close(r->who);
}

/* --- who we are, and who the server is --- */

static int read_token(struct ctx *ctx, const char *file, const char **ret, struct err *e)
{
	struct bytes text;
	size_t n = 0;

	if (fs_read_input(ctx->arena, file, FS_LIMIT_CERT, &text, e) != 0)
		return -1;
	while (n < text.n && text.p[n] > ' ' && text.p[n] < 0x7f)
		n++;
	for (size_t i = n; i < text.n; i++)
		if (!strchr(" \t\r\n", text.p[i]) || !text.p[i])
			return err_set(e, ERR_INVALID, "--token-file: it holds more than one token");
	if (n == 0)
		return err_set(e, ERR_INVALID, "--token-file: it is empty");
	*ret = arena_printf(ctx->arena, "Bearer %.*s", (int)n, (const char *)text.p);
	return 0;
}

static int read_password(struct ctx *ctx, const char *user, const char **ret, struct err *e)
{
	const struct secret_ask ask = { .what = arena_printf(ctx->arena, "password of %s", user), .env = "LAMASSU_EST_PASSWORD" };
	char *password;

	if (strchr(user, ':'))
		return err_set(e, ERR_USAGE, "--user: a name for HTTP Basic has no colon (RFC 7617 2)");
	if (ctx->secret(ctx, &ask, &password, e) != 0)
		return -1;
	*ret = arena_printf(ctx->arena, "Basic %s", b64_encode(ctx->arena, bytes_of(arena_printf(ctx->arena, "%s:%s", user, password))));
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
	if (hex_decode(ctx->arena, arena_strndup(ctx->arena, (const char *)text.p, n), &key) != 0 || key.n < PSK_LEN_MIN || key.n > PSK_LEN_MAX)
		return err_set(e, ERR_INVALID, "--psk-file: it must hold from %d to %d hexadecimal digits", 2 * PSK_LEN_MIN, 2 * PSK_LEN_MAX);
	t->psk_identity = a->psk_identity ? a->psk_identity : a->device;
	t->psk = key;
	return 0;
}

static int check_common(const struct client_args *a, struct err *e)
{
	if (!a->cert && a->key)
		return err_set(e, ERR_USAGE, "--key goes with --cert");
	if (a->user && a->token_file)
		return err_set(e, ERR_USAGE, "--user excludes --token-file");
	if (a->pin && (a->ca_file || a->trust_on_first_use))
		return err_set(e, ERR_USAGE, "--pin excludes --ca-file and --trust-on-first-use");
	if (a->trust_on_first_use && !a->ca_file)
		return err_set(e, ERR_USAGE, "--trust-on-first-use needs --ca-file, where the authorities are stored");
	if (a->psk_file && (a->ca_file || a->pin || a->trust_on_first_use || a->cert || a->user || a->token_file || a->count))
		return err_set(e, ERR_USAGE, "--psk-file excludes other ways to know the server and to be known, and --count");
	if (a->psk_file ? !a->psk_identity && !a->device : !!a->psk_identity)
		return err_set(e, ERR_USAGE, a->psk_file ? "--psk-file: say with --psk-identity who we are" : "--psk-identity goes with --psk-file");
	if (a->server_key && (a->key_type || a->same_key))
		return err_set(e, ERR_USAGE, "--server-key excludes --key-type and --same-key: the server chooses");
	if (a->server_key && token_is_uri(a->key_out))
		return err_set(e, ERR_USAGE, "--server-key excludes a token: the key comes out of the server");
	if (a->encrypted && token_is_uri(a->key))
		return err_set(e, ERR_USAGE, "--encrypted: a key in a token decrypts nothing here");
	if (a->remove_old_key && (!token_is_uri(a->key) || a->same_key))
		return err_set(e, ERR_USAGE, "--remove-old-key goes with a --key in a token, and without --same-key");
	if (a->encrypted && !(a->server_key && a->cert))
		return err_set(e, ERR_USAGE, "--encrypted goes with --server-key and --cert: the key comes encrypted to that certificate's");
	return 0;
}

/* The key of the client's certificate: its file may hold both. */
static const char *key_of(const struct client_args *a)
{
	return a->key ? a->key : a->cert;
}

static int first_cert(struct arena *a, struct bytes text, const char *path, struct cert *ret, struct err *e)
{
	struct bytes der;

	if (!pem_next(a, &text, "CERTIFICATE", NULL, &der) || !der.n)
		return err_set(e, ERR_INVALID, "%s: no certificate in PEM", path);
	return cert_parse(a, der, ret, e) != 0 ? err_ctx(e, "%s", path) : 0;
}

/* To whom a key of the server's making is encrypted. */
static int set_recipient(struct enrolment_run *r, struct err *e)
{
	struct arena *a = r->ctx->arena;
	struct bytes text;

	if (fs_read_input(a, r->a->cert, FS_LIMIT_CERT, &text, e) != 0 || first_cert(a, text, r->a->cert, &r->to.cert, e) != 0 ||
	    fs_read_input(a, key_of(r->a), FS_LIMIT_CERT, &text, e) != 0 || key_load(text, NULL, &r->to.key, e) != 0)
		return -1;
	r->target.to = &r->to;
	return 0;
}

/* The certificate says which key of the token is ours. */
static int set_who(struct enrolment_run *r, struct err *e)
{
	struct arena *a = r->ctx->arena;
	struct bytes text;
	struct cert c;

	if (fs_read_input(a, r->a->cert, FS_LIMIT_CERT, &text, e) != 0 || first_cert(a, text, r->a->cert, &c, e) != 0 ||
	    (!r->who && token_open(r->ctx, r->a->key, &r->who, e) != 0) || token_key_for(r->who, c.spki, &r->who_key, e) != 0)
		return -1;
	r->target.key = r->who_key;
	r->target.key_file = NULL;
	return 0;
}

static int set_target(struct enrolment_run *r, struct err *e)
{
	const struct client_args *a = r->a;
	struct est_target *t = &r->target;
	bool loopback;

	*t = (struct est_target){ .url = a->est, .label = a->label, .ca_file = a->ca_file, .pin = a->pin, .cert_file = a->cert, .key_file = key_of(a),
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

static int put_cas(struct ctx *ctx, const char *path, const struct est_cas *cas, struct err *e)
{
	SCOPED_BUF text = buf_init(BUF_TEXT);

	for (size_t i = 0; i < cas->n; i++) {
		struct bytes pem = cert_pem(ctx->arena, cas->v[i]);

		buf_put(&text, pem.p, pem.n);
	}
	return fs_write(path, buf_bytes(&text), 0644, true, e);
}

/* The authorities of a server that nothing is known of, into the file that all later runs believe. Nothing but that is asked of it. */
static int first_use(struct enrolment_run *r, struct err *e)
{
	const struct est_target stranger = { .url = r->target.url, .label = r->target.label, .patience_ms = r->target.patience_ms };
	struct est *est = NULL;
	struct est_cas cas;
	char *fingerprint;
	int rc;

	if (est_open_unknown(r->ctx, &stranger, &est, &fingerprint, e) != 0)
		return -1;
	rc = est_get_cas(est, r->ctx->arena, &cas, e);
	est_close(est);
	if (rc != 0)
		return -1;
	ctx_warn(r->ctx, "trusted on first use: the server's certificate has the SHA-256 fingerprint %s", fingerprint);
	for (size_t i = 0; i < cas.n; i++) {
		struct cert c;
		char *subject;

		if (cert_parse(r->ctx->arena, cas.v[i], &c, e) != 0 || name_format(r->ctx->arena, c.subject, &subject, e) != 0)
			return -1;
		ctx_warn(r->ctx, "trusted on first use: authority %s, SHA-256 %s", text_escape(r->ctx->arena, bytes_of(subject)),
			 cert_fingerprint(r->ctx->arena, &c));
	}
	return r->ctx->dry_run ? 0 : put_cas(r->ctx, r->a->ca_file, &cas, e);
}

static int connect_to(struct enrolment_run *r, struct err *e)
{
	if (r->a->trust_on_first_use && !fs_exists(r->a->ca_file) && first_use(r, e) != 0)
		return -1;
	return est_open(r->ctx, &r->target, &r->est, e);
}

/* --- the request --- */

/* enroll: the key that is there, or a new one where a type is given. */
static int take_key(struct enrolment_run *r, const struct keytype *type, EVP_PKEY **ret, struct err *e)
{
	struct err why = { 0 };

	if (token_key(r->token, ret, &why) != 0) {
		if (why.code == ERR_NOT_FOUND && r->a->key_type)
			return token_make(r->token, type, ret, e);
		*e = why;
		return why.code == ERR_NOT_FOUND ? err_ctx(e, "--key-type makes the key") : -1;
	}
	if (!r->a->key_type || keytype_of(*ret) == type)
		return 0;
	return err_set(e, ERR_EXISTS, "%s: it is there already, and of another type than %s", r->a->key_out, type->name);
}

static int make_key(struct enrolment_run *r, EVP_PKEY **ret, struct err *e)
{
	const char *text = r->a->key_type ? r->a->key_type : "ecdsa:256";
	const struct keytype *type;
	struct bytes pem;

	if (r->a->same_key && r->token)
		return token_key_for(r->token, r->old.spki, ret, e);
	if (r->token) {
		type = keytype_parse(text, e);
		if (!type)
			return err_ctx(e, "--key-type");
		return r->op == EST_REENROLL ? token_make(r->token, type, ret, e) : take_key(r, type, ret, e);
	}
	if (r->a->same_key)
		return fs_read_input(r->ctx->arena, key_of(r->a), FS_LIMIT_CERT, &pem, e) != 0 ? -1 : key_load(pem, NULL, ret, e);
	type = keytype_parse(text, e);
	return type ? key_generate(type, ret, e) : err_ctx(e, "--key-type");
}

/* Does what was under way ask for the same? */
static bool is_ours(const struct enrolment_run *r, const struct bytes san)
{
	struct err ignored = { 0 };
	const struct keytype *type = r->a->key_type ? keytype_parse(r->a->key_type, &ignored) : NULL;
	const struct ext *ext;
	struct csr csr;

	if (!r->pending.key || csr_parse(r->ctx->arena, r->pending.csr, &csr, &ignored) != 0 || !bytes_equal(csr.subject, r->subject))
		return false;
	ext = exts_find(&csr.exts, OID_SAN);
	return bytes_equal(ext ? ext->value : (struct bytes){ 0 }, san) && (!type || keytype_of(r->pending.key) == type) && !r->a->same_key &&
	       !r->a->server_key;
}

/* Of a run that was cut off: the key of its request, where that is in a token. */
static int find_pending(struct enrolment_run *r, struct err *e)
{
	struct err why = { 0 };
	struct csr csr;

	if (!r->token || !r->pending.csr.n)
		return 0;
	if (csr_parse(r->ctx->arena, r->pending.csr, &csr, e) != 0)
		return -1;
	if (token_key_for(r->token, csr.spki, &r->pending.key, &why) == 0 || why.code == ERR_NOT_FOUND)
		return 0;
	*e = why;
	return -1;
}

/* The request of a run that was cut off, or a new one, which is durable before anybody sees it. */
static int prepare(struct enrolment_run *r, struct err *e)
{
	struct bytes san = { 0 };

	if (r->san.n && san_build(r->ctx->arena, &r->san, &san, e) != 0)
		return -1;
	if (find_pending(r, e) != 0)
		return -1;
	if (is_ours(r, san))
		return 0;
	EVP_PKEY_free(r->pending.key);
	r->pending = (struct pending){ .old = r->a->remove_old_key ? r->old.der : (struct bytes){ 0 } };
	if (make_key(r, &r->pending.key, e) != 0 ||
	    est_request(r->ctx->arena, r->subject, &r->san, r->pending.key, r->target.to, &r->pending.csr, e) != 0)
		return -1;
	return pending_save(r->ctx, &r->paths, &r->pending, e);
}

/* --- the answer --- */

static struct bytes as_pem(struct arena *a, const struct est_chain *chain, bool with_chain)
{
	struct bytes all = cert_pem(a, chain->leaf);
	SCOPED_BUF text = buf_init(BUF_TEXT);

	buf_put(&text, all.p, all.n);
	for (size_t i = 0; with_chain && i < chain->n; i++) {
		struct bytes pem = cert_pem(a, chain->v[i]);

		buf_put(&text, pem.p, pem.n);
	}
	return (struct bytes){ arena_memdup(a, text.p, text.n), text.n };
}

static int ask(struct enrolment_run *r, const struct est_cas *cas, struct err *e)
{
	struct arena *ar = r->ctx->arena;
	struct est_answer answer;
	struct est_chain chain;
	struct bytes leaf;

	if (est_send(r->est, ar, r->op, r->pending.csr, &answer, e) != 0)
		return -1;
	if (r->target.to && est_unseal(r->ctx, &answer, r->target.to, cas, &answer.key, e) != 0)
		return -1;
	if (answer.key) {
		EVP_PKEY_free(r->pending.key);
		r->pending.key = answer.key;
	}
	if (est_find(&answer, ar, r->pending.key, &leaf, e) != 0 || est_judge(r->ctx, &answer, cas, leaf, &chain, e) != 0)
		return -1;
	r->pending.certs = as_pem(ar, &chain, r->a->chain);
	return pending_save(r->ctx, &r->paths, &r->pending, e);
}

/* The program gets the paths of the certificate and the key, and no shell. It is run again by the next run when it failed. */
static int run_hook(struct enrolment_run *r, struct err *e)
{
	const char *key = !r->paths.elsewhere ? r->paths.key : r->op == EST_REENROLL ? r->a->key : r->a->key_out;
	char *argv[] = { arena_strdup(r->ctx->arena, r->a->exec), arena_strdup(r->ctx->arena, r->paths.cert),
			 arena_strdup(r->ctx->arena, key), NULL };
	int rc, status = 0;
	pid_t pid;

	rc = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
	if (rc != 0)
		return err_set(e, ERR_REMOTE, "--exec %s: %s; the new certificate is in place", argv[0], strerror(rc));
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(e, ERR_REMOTE, "--exec %s: it failed (status %d); the new certificate is in place, and the next run tries again",
			       argv[0], WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	return 0;
}

/* The key of the certificate that was replaced; one that has gone already is what was wanted. */
static int remove_old(struct enrolment_run *r, struct err *e)
{
	struct err why = { 0 };
	struct cert old;

	if (cert_parse(r->ctx->arena, r->pending.old, &old, e) != 0 || (!r->token && token_open(r->ctx, r->a->key, &r->token, e) != 0))
		return -1;
	if (token_remove(r->token, old.spki, &why) == 0 || why.code == ERR_NOT_FOUND)
		return 0;
	*e = why;
	return err_ctx(e, "the new certificate is in place, but the old key");
}

static int finish(struct enrolment_run *r, struct err *e)
{
	struct cert c;
	char *subject;

	if (pending_install(r->ctx, &r->paths, &r->pending, e) != 0 || (r->a->exec && run_hook(r, e) != 0) ||
	    (r->a->remove_old_key && r->pending.old.n && remove_old(r, e) != 0) || pending_done(r->ctx, &r->paths, e) != 0)
		return -1;
	if (first_cert(r->ctx->arena, r->pending.certs, r->paths.cert, &c, e) != 0 || name_format(r->ctx->arena, c.subject, &subject, e) != 0)
		return -1;
	return out_done(r->ctx, e, "%s %s: certificate %s until %s in %s", r->op == EST_REENROLL ? "renewed" : "enrolled",
			text_escape(r->ctx->arena, bytes_of(subject)), cert_serial_hex(r->ctx->arena, c.serial),
			tm_format(r->ctx->arena, c.not_after), r->paths.cert);
}

/* Where the new key is going to be. */
static int set_token(struct enrolment_run *r, struct err *e)
{
	if (!r->paths.elsewhere)
		return 0;
	r->token = r->op == EST_REENROLL ? r->who : NULL;
	return r->token ? 0 : token_open(r->ctx, r->a->key_out, &r->token, e);
}

/* pending_load came first, and a certificate that is there already goes into place without the server. */
static int obtain(struct enrolment_run *r, struct err *e)
{
	struct est_cas cas;

	if (r->pending.certs.n)
		return r->ctx->dry_run ? 0 : finish(r, e);
	if (net_need(r->ctx, e) != 0 || set_target(r, e) != 0 || set_token(r, e) != 0 || connect_to(r, e) != 0 || est_get_cas(r->est, r->ctx->arena, &cas, e) != 0)
		return -1;
	if (r->ctx->dry_run)
		return 0;
	if (r->a->cacerts_out && put_cas(r->ctx, r->a->cacerts_out, &cas, e) != 0)
		return -1;
	return prepare(r, e) != 0 || ask(r, &cas, e) != 0 ? -1 : finish(r, e);
}

/* --- enroll --- */

static int subject_of(struct enrolment_run *r, struct err *e)
{
	char *name[] = { arena_strdup(r->ctx->arena, r->a->device) };
	const struct subject_fields fields = { .common_name = { .v = name, .n = 1, .set = true } };

	if (r->a->subject)
		return name_parse(r->ctx->arena, r->a->subject, &r->subject, e) != 0 ? err_ctx(e, "--subject") : 0;
	if (!r->a->device)
		return err_set(e, ERR_USAGE, "name the device, or give --subject");
	return name_from_fields(r->ctx->arena, &fields, &r->subject, e);
}

static int load(struct enrolment_run *r, struct err *e)
{
	const struct client_args *a = r->a;
	struct load_order order = { .count = (size_t)a->count, .connections = a->connections ? (unsigned)a->connections : 1,
				    .prefix = a->prefix ? a->prefix : "load" };
	struct load_report report;

	if (a->count < 1 || a->count > LOAD_COUNT_MAX || a->connections < 0 || a->connections > LOAD_CONNECTIONS_MAX)
		return err_set(e, ERR_USAGE, "--count is from 1 to %d, --connections to %d", LOAD_COUNT_MAX, LOAD_CONNECTIONS_MAX);
	if (a->device || a->subject || a->san.n || a->out || a->key_out || a->exec || a->server_key)
		return err_set(e, ERR_USAGE, "--count keeps nothing: it goes without a device, names, files, --exec and --server-key");
	order.type = keytype_parse(a->key_type ? a->key_type : "ecdsa:256", e);
	if (!order.type)
		return err_ctx(e, "--key-type");
	if (net_need(r->ctx, e) != 0 || set_target(r, e) != 0 || connect_to(r, e) != 0)
		return -1;
	if (r->ctx->dry_run)
		return 0;
	if (load_run(r->ctx, r->est, &order, &report, e) != 0 || out_record(r->ctx, &load_report_type, &report, e) != 0)
		return -1;
	return report.failed ? err_set(e, ERR_PARTIAL, "%lld of %s did not enrol: %s", (long long)report.failed,
				       text_count(r->ctx->arena, (uint64_t)report.count, "device", NULL), report.error) : 0;
}

static int enroll(struct enrolment_run *r, struct err *e)
{
	const struct client_args *a = r->a;

	if (a->connections || a->prefix || a->reconnect)
		return err_set(e, ERR_USAGE, "--connections, --prefix and --reconnect go with --count");
	if (!a->out)
		return err_set(e, ERR_USAGE, "say with --out where the certificate goes");
	r->paths = (struct pair_paths){ .cert = a->out, .key = a->key_out && !token_is_uri(a->key_out) ? a->key_out : a->out,
					.elsewhere = token_is_uri(a->key_out) };
	r->san = a->san;
	if (subject_of(r, e) != 0 || pending_load(r->ctx, &r->paths, &r->pending, e) != 0)
		return -1;
	if (!r->pending.certs.n && (fs_exists(r->paths.cert) || fs_exists(r->paths.key)))
		return err_set(e, ERR_EXISTS, "%s exists: `device renew` replaces it",
			       fs_exists(r->paths.cert) ? r->paths.cert : r->paths.key);
	return obtain(r, e);
}

static int run_enroll(struct ctx *ctx, void *args, struct err *e)
{
	const struct client_args *a = args;
	struct enrolment_run r = { .ctx = ctx, .a = a, .op = a->server_key ? EST_KEYGEN : EST_ENROLL };
	int rc;

	ossl_start(false);
	rc = check_common(a, e) != 0 ? -1 : a->count ? load(&r, e) : enroll(&r, e);
	release(&r);
	return rc;
}

/* --- renew --- */

/* Names stay what they are, unless others are asked for. */
static int take_names(struct enrolment_run *r, const struct cert *c, struct err *e)
{
	const struct ext *san = exts_find(&c->exts, OID_SAN);

	r->subject = c->subject;
	r->san = r->a->san;
	if (r->a->subject && name_parse(r->ctx->arena, r->a->subject, &r->subject, e) != 0)
		return err_ctx(e, "--subject");
	return san && !r->san.n ? san_parse(r->ctx->arena, san->value, &r->san, e) : 0;
}

static bool is_due(const struct enrolment_run *r, const struct cert *c)
{
	int64_t percent = r->a->percent ? r->a->percent : RENEW_PERCENT;
	int64_t before = r->a->days ? r->a->days * DAY : (c->not_after - c->not_before) / 100 * percent;

	return r->a->force || r->ctx->now >= c->not_after - before;
}

static int renew(struct enrolment_run *r, struct err *e)
{
	const struct client_args *a = r->a;
	struct bytes text;
	struct cert c;

	if (a->days < 0 || a->days > 36500 || a->percent < 0 || a->percent > 100 || (a->days && a->percent))
		return err_set(e, ERR_USAGE, "--days is from 1 to 36500, --percent from 1 to 100, and one excludes the other");
	r->paths = (struct pair_paths){ .cert = a->cert, .key = token_is_uri(a->key) ? a->cert : key_of(a), .elsewhere = token_is_uri(a->key) };
	if (pending_load(r->ctx, &r->paths, &r->pending, e) != 0)
		return -1;
	if (r->pending.certs.n)
		return obtain(r, e);
	if (fs_read_input(r->ctx->arena, a->cert, FS_LIMIT_CERT, &text, e) != 0 || first_cert(r->ctx->arena, text, a->cert, &c, e) != 0 ||
	    take_names(r, &c, e) != 0)
		return -1;
	r->old = c;
	return is_due(r, &c) ? obtain(r, e) : 0;
}

static int run_renew(struct ctx *ctx, void *args, struct err *e)
{
	const struct client_args *a = args;
	struct enrolment_run r = { .ctx = ctx, .a = a, .op = EST_REENROLL };
	int rc;

	ossl_start(false);
	rc = check_common(a, e) != 0 ? -1 : renew(&r, e);
	release(&r);
	return rc;
}

#define SERVER_ROWS \
	OSTR(client_args, est, 0, "url", "The server: https://HOST:PORT, or with the whole path up to the operation.", .flags = O_REQ), \
	OSTR(client_args, label, 0, "dms", "The label in the server's path: with est-serve a device manager's id."), \
	OSTR(client_args, ca_file, 0, "file", "Authorities that the server's TLS certificate must come from, PEM. Default: the system's."), \
	OSTR(client_args, pin, 0, "sha256", "Instead of authorities, the SHA-256 fingerprint of the server's certificate."), \
	OFLAG(client_args, trust_on_first_use, 0, "When the file of --ca-file is not there yet, believe the server and store its authorities there."), \
	OSTR(client_args, user, 0, "user", "Name for HTTP Basic; its password is asked for, or comes from --passphrase-file, --passphrase-fd or " \
	     "$LAMASSU_EST_PASSWORD."), \
	OSTR(client_args, token_file, 0, "file", "A bearer token (JWT) to show."), \
	OSTR(client_args, key_type, 'k', "key-type", "Type of the new key. Default: ecdsa:256."), \
	OLIST(client_args, san, 0, "name", "Alternative name: DNS:, IP:, URI:, email: …."), \
	OFLAG(client_args, chain, 0, "Write the authorities between the certificate and its root behind it."), \
	OSTR(client_args, cacerts_out, 0, "file", "Where to write the authorities that the server distributes."), \
	OSTR(client_args, exec, 0, "program", "Run it when the files are in place, with the paths of the certificate and the key as arguments."), \
	ODUR(client_args, timeout, 0, "duration", "How long to go on trying, Retry-After included. Default: 2m.")

#define TOKEN_DOC \
	"A key in a PKCS#11 token is named by a URI of RFC 7512. module-path says which module, else those of p11-kit are asked; pin-source names a " \
	"file with the PIN, else it comes from LAMASSU_PIN_<TOKEN'S LABEL>, LAMASSU_PIN or the terminal."

static const struct opt enroll_opts[] = {
	SERVER_ROWS,
	OSTR(client_args, cert, 0, "file", "Certificate to show, and what leads to its root: a bootstrap certificate, PEM."),
	OSTR(client_args, key, 0, "file|uri", "Its key, PEM without passphrase, or pkcs11:… in a token. Default: in the file of --cert."),
	OSTR(client_args, psk_file, 0, "file", "A secret that the server has too, in hexadecimal digits, for TLS-PSK: it takes the place of --ca-file and --cert."),
	OSTR(client_args, psk_identity, 0, "text", "Whose secret it is. Default: DEVICE."),
	OSTR(client_args, subject, 0, "dn", "Subject to ask for. Default: CN=DEVICE."),
	OSTR(client_args, out, 0, "file", "Where the certificate goes."),
	OSTR(client_args, key_out, 0, "file|uri", "Where the key goes (PKCS#8, mode 0600), or pkcs11:…, which key of a token it is. Default: before "
	     "the certificate, in one file."),
	OFLAG(client_args, server_key, 0, "The server makes the key (serverkeygen)."),
	OFLAG(client_args, encrypted, 0, "It encrypts it to the key of --cert, RSA or EC, whose usage must allow that."),
	OINT(client_args, count, 0, "n", "A load: so many devices with names and keys of their own, of which nothing is kept."),
	OINT(client_args, connections, 0, "n", "How many of them at once. Default: 1."),
	OSTR(client_args, prefix, 0, "text", "Their names are PREFIX-000001 and so on. Default: load."),
	OFLAG(client_args, reconnect, 0, "A new TLS handshake for each of them."),
	OEND
};
static const struct operand enroll_operands[] = {
	PARAM(client_args, device, "device", "The device's id.", .flags = P_OPTIONAL), { 0 }
};
const struct cmd device_enroll_cmd = {
	.name = "enroll", .brief = "Enrol this device at an EST server", .opts = enroll_opts, .operands = enroll_operands,
	.argsize = sizeof(struct client_args), .run = run_enroll, .type = &load_report_type,
	.doc = "Runs on the device and needs no repository. The key is made here and leaves only as a request; nothing is written before the "
	       "certificate was found to be for it and to lead to the authorities that the server distributes. An enrolment that was cut off "
	       "is in KEY.pending; the same command goes on with it, and the server gives the same certificate.\n\n"
	       TOKEN_DOC " With --key-out pkcs11:…;object=LABEL the key of that label is taken, or made there when --key-type is given and there is "
	       "none; what is under way is in CERT.pending.\n\n"
	       "With --count it is a load for a server that is to be measured, and prints rate and latencies. A server on another machine needs "
	       "--yes.\n\n"
	       "The status is 5 when the server refuses, and 6 when it cannot be reached or puts the device off for longer than --timeout.",
	.example = "lamassu device enroll sensor-1 --est https://pki.example:8443 --label factory --ca-file root.pem --cert boot.pem --key boot.key "
		   "--out device.pem --key-out device.key\n"
		   "lamassu device enroll --est https://localhost:8443 --ca-file root.pem --cert boot.pem --key boot.key --count 1000 --connections 32 "
		   "--reconnect"
};

static const struct opt renew_opts[] = {
	SERVER_ROWS,
	OSTR(client_args, cert, 0, "file", "The certificate to renew, PEM; it is replaced.", .flags = O_REQ),
	OSTR(client_args, key, 0, "file|uri", "Its key, which is replaced too; or pkcs11:…, the token that it is in. Default: in the file of --cert."),
	OSTR(client_args, subject, 0, "dn", "Subject to ask for. Default: the certificate's."),
	OINT(client_args, days, 0, "n", "Renew when so many days are left."),
	OINT(client_args, percent, 0, "n", "Renew when so much of the lifetime is left. Default: 33."),
	OFLAG(client_args, force, 0, "Renew now."),
	OFLAG(client_args, same_key, 0, "Keep the key."),
	OFLAG(client_args, remove_old_key, 0, "When the new certificate is in place, remove the old key from the token."),
	OEND
};
const struct cmd device_renew_cmd = {
	.name = "renew", .brief = "Renew this device's certificate at an EST server, when it is due", .opts = renew_opts,
	.argsize = sizeof(struct client_args), .run = run_renew, .type = &load_report_type,
	.doc = "For timers: runs on the device, needs no repository, and says and does nothing while the certificate is good for long enough. "
	       "The names stay, the key is new. The new pair takes the place of the old one when it was found to be good: in one step where "
	       "one file holds both; of two files the key is replaced first, and a run that was cut off between them is completed by the "
	       "next, as is a program of --exec that failed.\n\n"
	       TOKEN_DOC " The certificate says which key of the token is its own, so that a label may have several. A new key is made under the "
	       "label of the URI; the old one stays, unless --remove-old-key is given.",
	.example = "lamassu device renew --est https://pki.example:8443 --label factory --ca-file root.pem --cert device.pem --key device.key --days 30"
};
