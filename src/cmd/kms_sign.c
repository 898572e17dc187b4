/* `kms key sign`, `verify`: one signature over a message or over a digest that was made elsewhere. An algorithm that
 * does not fit the key is refused before the engine is asked. */
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "cmd/kms.h"
#include "crypto/key.h"
#include "engine/engine.h"
#include "pki/keys.h"
#include "state/state.h"

enum { TYPE_RAW, TYPE_DIGEST };
static const char *const message_types[] = { "raw", "digest", NULL };

struct sign_args {
	const char *key, *algorithm, *in, *out, *signature;
	int message_type;
};

struct signature_view {
	char *key_id, *algorithm, *signature;
	bool valid;
};

static int find_algorithm(const char *name, const EVP_PKEY *pub, const struct sigalg **ret, struct err *e)
{
	SCOPED_BUF list = buf_init(BUF_TEXT);
	const struct sigalg *alg = name ? sigalg_find(name) : sigalg_default(pub);

	for (const struct sigalg *s = sigalgs; s->name; s++)
		if (sigalg_fits(s, pub))
			buf_printf(&list, "%s%s", list.n ? ", " : "", s->name);
	if (!list.n)
		return err_set(e, ERR_UNSUPPORTED, "there is no signature algorithm for this type of key");
	if (!alg || !sigalg_fits(alg, pub))
		return err_set(e, ERR_USAGE, "%s%s%s%s; this key goes with: %s", name ? "algorithm \"" : "no algorithm",
			       name ? name : "", name ? "\" " : "", alg ? "does not fit the key" : "is not known",
				       buf_str(&list));
	*ret = alg;
	return 0;
}

/* The key's record and public half, the algorithm, and what is signed. */
static int prepare(struct ctx *ctx, const struct sign_args *a, struct key *k, EVP_PKEY **ret_pub,
		   const struct sigalg **ret_alg,
		   struct bytes *ret_in, struct err *e)
{
	AUTO(EVP_PKEY) *pub = NULL;

	if (keys_resolve(ctx, a->key, k, e) != 0 || key_from_public_pem(bytes_of(k->public_key), &pub, e) != 0 ||
	    find_algorithm(a->algorithm, pub, ret_alg, e) != 0 ||
	    fs_read_input(ctx->arena, a->in ? a->in : "-", FS_LIMIT_BATCH, ret_in, e) != 0)
		return -1;
	*ret_pub = pub;
	pub = NULL;
	return 0;
}

static const struct field sign_fields[] = {
	STR(signature_view, key_id, "The key.", .flags = F_COL),
	STR(signature_view, algorithm, "The algorithm.", .flags = F_COL),
	STR(signature_view, signature, "The signature, base64.", .flags = F_KEY | F_COL),
	END
};
static const struct schema sign_type = {
	.name = "signature", .doc = "A signature", .size = sizeof(struct signature_view), .fields = sign_fields
};

static int run_sign(struct ctx *ctx, void *args, struct err *e)
{
	const struct sign_args *a = args;
	AUTO(EVP_PKEY) *pub = NULL;
	AUTO(EVP_PKEY) *key = NULL;
	SCOPED_BUF sig = buf_init(BUF_TEXT);
	const struct sigalg *alg;
	struct bytes in;
	struct key k;

	if (prepare(ctx, a, &k, &pub, &alg, &in, e) != 0 || engine_key(ctx, &k, &key, e) != 0)
		return -1;
	if (a->message_type == TYPE_DIGEST ? key_sign_digest(key, alg, in, &sig, e) != 0 : key_sign(key, alg, in, &sig,
												    e) != 0)
		return -1;
	if (a->out || out_is_table(ctx))
		return out_bytes(ctx, a->out, buf_bytes(&sig), false, false, e);
	return out_record(ctx, &sign_type,
			  &(struct signature_view){ .key_id = k.id, .algorithm = arena_strdup(ctx->arena, alg->name),
						    .signature = b64_encode(ctx->arena, buf_bytes(&sig)) }, e);
}

#define SIGN_OPTS                                                                                            \
	OSTR(sign_args, algorithm, 0, "algorithm",                                                          \
	     "RSASSA_PKCS1_V1_5_SHA_256, RSASSA_PSS_SHA_256, ECDSA_SHA_256 (also 384, 512), Ed25519. "      \
	     "Default: what fits the key."),                                                                \
	OSTR(sign_args, in, 0, "file", "The message. Default: standard input."),                            \
	OENUM(sign_args, message_type, 0, message_types, "Whether it is the message itself or a digest of it.")

static const struct opt sign_opts[] = {
	SIGN_OPTS, OSTR(sign_args, out, 0, "file", "Where the signature goes. Default: standard output."), OEND
};
static const struct operand sign_operands[] = { PARAM(sign_args, key, "key", "The key: id, alias, name or URI."),
					       OEND };

const struct cmd key_sign_cmd = {
	.name = "sign", .brief = "Sign a message or a digest", .opts = sign_opts, .operands = sign_operands,
	.argsize = sizeof(struct sign_args), .needs = NEED_STATE, .run = run_sign, .type = &sign_type,
	.doc = "ECDSA signatures are DER; RSASSA_PSS uses a salt as long as the digest. Ed25519 signs whole messages "
	       "only.",
	.example = "lamassu kms key sign release --in lamassu.tar.xz --out lamassu.tar.xz.sig"
};

static const struct field verify_fields[] = {
	STR(signature_view, key_id, "The key.", .flags = F_KEY | F_COL),
	STR(signature_view, algorithm, "The algorithm.", .flags = F_COL),
	BOOL(signature_view, valid, "Whether the signature is the key's over the message.", .flags = F_COL | F_SHOW0),
	END
};
static const struct schema verify_type = {
	.name = "verification", .doc = "The outcome of a verification", .size = sizeof(struct signature_view),
	.fields = verify_fields
};

static int run_verify(struct ctx *ctx, void *args, struct err *e)
{
	const struct sign_args *a = args;
	AUTO(EVP_PKEY) *pub = NULL;
	const struct sigalg *alg;
	struct bytes in, sig;
	struct key k;
	bool valid;

	if (prepare(ctx, a, &k, &pub, &alg, &in, e) != 0 ||
	    fs_read_input(ctx->arena, a->signature, FS_LIMIT_CERT, &sig, e) != 0 ||
	    key_verify(pub, alg, in, a->message_type == TYPE_DIGEST, sig, &valid, e) != 0)
		return -1;
	if (!valid)
		return err_set(e, ERR_CHECK, "the signature is not valid");
	return out_record(ctx, &verify_type,
			  &(struct signature_view){ .key_id = k.id, .algorithm = arena_strdup(ctx->arena, alg->name),
						   .valid = true },
			  e);
}

static const struct opt verify_opts[] = {
	SIGN_OPTS, OSTR(sign_args, signature, 0, "file", "The signature.", .flags = O_REQ), OEND
};

const struct cmd key_verify_cmd = {
	.name = "verify", .brief = "Verify a signature", .opts = verify_opts, .operands = sign_operands,
	.argsize = sizeof(struct sign_args), .needs = NEED_STATE, .run = run_verify, .type = &verify_type,
	.doc = "Exit status 0 when the signature is valid, 5 when it is not."
};
