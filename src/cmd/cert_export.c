/* `cert export`: a certificate in the form that others want. A private key leaves only in a PKCS#12, only when its
 * engine lets keys out, into a file of mode 0600. */
#include <string.h>

#include "base/fs.h"
#include "cmd/cert.h"
#include "crypto/bundle.h"
#include "crypto/key.h"
#include "engine/engine.h"
#include "pki/cert_find.h"
#include "pki/keys.h"
#include "state/state.h"

struct export_args {
	const char *cert, *ca, *out, *key, *export_passphrase_file;
	int format;
	bool chain, legacy, force;
};
enum format { FORMAT_PEM, FORMAT_DER, FORMAT_P7B, FORMAT_P12, FORMAT_FULLCHAIN };
static const char *const formats[] = { "pem", "der", "p7b", "p12", "fullchain", NULL };

struct exporting {
	struct ctx *ctx;
	const struct export_args *args;
	struct found_cert found;
	struct bytes *ders; /* up to the root */
	size_t n;
};

/* --- the key of a PKCS#12 --- */

static int key_from_engine(struct exporting *x, EVP_PKEY **ret, struct err *e)
{
	const struct certrec *c = &x->found.rec;
	struct engine *eng;
	struct key k;

	if (!keys_have(x->ctx, c->key_id))
		return err_set(e, ERR_DENIED,
			       "the key of certificate %s is not in our engines: name its file with --key",
			       c->serial_number);
	if (state_get(x->ctx->state, &key_type, c->key_id, &k, e) != 0)
		return -1;
	if (!k.has_private_key)
		return err_set(e, ERR_DENIED, "only the public half of the key of certificate %s is here",
			       c->serial_number);
	if (engine_get(x->ctx, k.engine_id, &eng, e) != 0)
		return -1;
	if (!(eng->ops->caps & CAP_EXPORT))
		return err_set(e, ERR_DENIED, "the key of certificate %s is in engine %s, which lets no key out",
			       c->serial_number, k.engine_id);
	return engine_key(x->ctx, &k, ret, e);
}

static int find_key(struct exporting *x, EVP_PKEY **ret, struct err *e)
{
	AUTO(EVP_PKEY) *key = NULL, *pub = NULL;
	struct bytes text;

	if (x->args->key == NULL)
		return key_from_engine(x, ret, e);
	if (fs_read_input(x->ctx->arena, x->args->key, FS_LIMIT_CERT, &text, e) != 0 ||
	    keys_read(x->ctx, x->args->key, text, &key, e) != 0 || cert_pubkey(&x->found.cert, &pub, e) != 0)
		return -1;
	if (!key_matches(key, pub))
		return err_set(e, ERR_DENIED, "%s is not the key of certificate %s", x->args->key,
			       x->found.rec.serial_number);
	*ret = key;
	key = NULL;
	return 0;
}

static int first_line(struct ctx *ctx, const char *path, char **ret, struct err *e)
{
	struct bytes text;
	size_t n = 0;

	if (fs_read_input(ctx->arena, path, 4096, &text, e) != 0)
		return err_ctx(e, "--export-passphrase-file");
	while (n < text.n && text.p[n] != '\n' && text.p[n] != '\r' && text.p[n] != '\0')
		n++;
	if (n == 0)
		return err_set(e, ERR_INVALID, "--export-passphrase-file: the first line is empty");
	*ret = arena_strndup(ctx->arena, (const char *)text.p, n);
	return 0;
}

static int ask_passphrase(struct exporting *x, char **ret, struct err *e)
{
	const struct secret_ask ask = { .what = "passphrase of the PKCS#12", .env = "LAMASSU_EXPORT_PASSPHRASE",
		.env_general = "LAMASSU_PASSPHRASE", .confirm = true };

	if (x->args->export_passphrase_file)
		return first_line(x->ctx, x->args->export_passphrase_file, ret, e);
	return x->ctx->secret(x->ctx, &ask, ret, e);
}

static int export_p12(struct exporting *x, struct err *e)
{
	AUTO(EVP_PKEY) *key = NULL;
	const char *name = x->found.rec.common_name ? x->found.rec.common_name : x->found.rec.serial_number;
	struct bytes der;
	char *passphrase;

	if (x->args->out == NULL)
		return err_set(e, ERR_USAGE, "a PKCS#12 holds a private key: give --out and a file");
	if (find_key(x, &key, e) != 0 || ask_passphrase(x, &passphrase, e) != 0 ||
	    p12_build(x->ctx->arena, key, x->ders, x->n, name, passphrase, x->args->legacy, &der, e) != 0)
		return -1;
	return out_bytes(x->ctx, x->args->out, der, true, x->args->force, e);
}

/* --- certificates alone --- */

static bool is_root(struct exporting *x, struct bytes der)
{
	struct err ignored = { 0 };
	struct cert c;

	return cert_parse(x->ctx->arena, der, &c, &ignored) == 0 && cert_issued_by(&c, &c);
}

static int export_certs(struct exporting *x, struct err *e)
{
	const struct export_args *a = x->args;
	SCOPED_BUF b = buf_init(BUF_BIG);
	size_t n = a->chain || a->format == FORMAT_P7B ? x->n : 1;
	struct bytes p7;

	if (a->format == FORMAT_FULLCHAIN) /* what a TLS server sends: all but the root (RFC 8446 4.4.2) */
		n = x->n > 1 && is_root(x, x->ders[x->n - 1]) ? x->n - 1 : x->n;
	if (a->format == FORMAT_P7B) {
		if (p7_certs(x->ctx->arena, x->ders, n, &p7, e) != 0)
			return -1;
		return out_bytes(x->ctx, a->out, pem_encode(x->ctx->arena, "PKCS7", p7), false, true, e);
	}
	if (a->format == FORMAT_DER && n > 1)
		return err_set(e, ERR_USAGE, "a chain has no DER form: use --format p7b");
	for (size_t i = 0; i < n; i++) {
		struct bytes one = a->format == FORMAT_DER ? x->ders[i] : cert_pem(x->ctx->arena, x->ders[i]);
		buf_put(&b, one.p, one.n);
	}
	return out_bytes(x->ctx, a->out, buf_bytes(&b), false, true, e);
}

static int run_export(struct ctx *ctx, void *args, struct err *e)
{
	struct export_args *a = args;
	struct exporting x = { .ctx = ctx, .args = a };

	if (a->format < 0)
		a->format = FORMAT_PEM;
	if (a->format != FORMAT_P12 && (a->key || a->legacy || a->export_passphrase_file))
		return err_set(e, ERR_USAGE, "--key, --legacy and --export-passphrase-file are for --format p12");
	if (cert_find(ctx, a->ca, a->cert, &x.found, e) != 0 || cert_chain(ctx, &x.found, &x.ders, &x.n, e) != 0)
		return -1;
	return a->format == FORMAT_P12 ? export_p12(&x, e) : export_certs(&x, e);
}

static const struct opt export_opts[] = {
	OENUM(export_args, format, 0, formats,
	      "pem, der, p7b (with the chain), p12 (with chain and key), or fullchain (PEM, all but the root)."),
	OSTR(export_args, out, 0, "file", "Where it goes. Default: standard output."),
	OFLAG(export_args, chain, 0, "Its issuers up to the root as well."),
	OSTR(export_args, key, 0, "file", "For p12: the private key, when it is not in our engines."),
	OSTR(export_args, export_passphrase_file, 0, "file",
	     "For p12: its passphrase. Default: LAMASSU_EXPORT_PASSPHRASE, LAMASSU_PASSPHRASE, or "
	     "asked for."),
	OFLAG(export_args, legacy, 0, "For p12: 3DES and SHA-1, for importers that know nothing better."),
	OFLAG(export_args, force, 0, "Replace an existing file that holds a key."),
	OSTR(export_args, ca, 0, "ca", CERT_CA_DOC),
	OEND
};
static const struct operand export_operands[] = { PARAM(export_args, cert, "cert", CERT_REF_DOC), { 0 } };

const struct cmd cert_export_cmd = {
	.name = "export", .brief = "Write a certificate, its chain, or a PKCS#12 with its key", .opts = export_opts,
	.operands = export_operands, .argsize = sizeof(struct export_args), .needs = NEED_STATE, .run = run_export,
	.doc = "A PKCS#12 uses AES-256 and HMAC-SHA-256 (PBES2). A key whose engine lets none out is refused with exit "
	       "status 5.",
	.example = "lamassu cert export 5f3a0c11 --format fullchain --out server.pem\n"
		   "lamassu cert export 5f3a0c11 --format p12 --out server.p12"
};
