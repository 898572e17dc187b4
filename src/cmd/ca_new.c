/* `ca create`, `import`, `request`, `install`, `reissue`: how authorities come to be. Arguments are turned into one
 * order for pki/; flags win over the document of -f. */
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "cmd/ca.h"
#include "cmd/generic.h"
#include "crypto/name.h"
#include "pki/advice.h"
#include "pki/ca_create.h"
#include "pki/ca_import.h"
#include "pki/ca_reissue.h"
#include "pki/crl_issue.h"
#include "pki/issue.h"
#include "state/state.h"

/* --- create, request --- */

struct new_args {
	const char *id, *file, *subject, *parent, *engine, *key_type, *key, *profile, *issuance_profile, *validity;
	const char *out;
	int64_t path_length;
	bool allow_outlive;
	struct strv metadata;
};

/* Encoders of JSON write "" for what was not said. */
static char *given(char *text)
{
	return text && *text ? text : NULL;
}

/* C1: issuance_profile_id of the input document is the shape if that profile signs as CA, else the default for what is
 * issued. */
static int assign_issuance_profile(struct ctx *ctx, struct ca_create_doc *d, struct err *e)
{
	struct profile p;

	if (given(d->issuance_profile_id) == NULL)
		return 0;
	if (profile_load(ctx, d->issuance_profile_id, &p, e) != 0)
		return -1;
	if (p.sign_as_ca && given(d->profile_id) == NULL)
		d->profile_id = d->issuance_profile_id;
	else if (!p.sign_as_ca && given(d->ca_issuance_profile_id) == NULL)
		d->ca_issuance_profile_id = d->issuance_profile_id;
	return 0;
}

static char *validity_text(struct ctx *ctx, const struct validity *v)
{
	if (v->type == VALIDITY_INDEFINITE)
		return arena_strdup(ctx->arena, "indefinite");
	if (v->type == VALIDITY_TIME)
		return tm_format(ctx->arena, v->time);
	return v->duration.text ? arena_strdup(ctx->arena, v->duration.text) : NULL;
}

static int order_from_doc(struct ctx *ctx, const char *file, struct ca_order *o, struct err *e)
{
	struct ca_create_doc d;

	if (generic_load(ctx, file, &ca_create_type, &d, e) != 0 || assign_issuance_profile(ctx, &d, e) != 0)
		return -1;
	if (given(d.type) && !text_same_name(d.type, "MANAGED"))
		return err_set(e, ERR_INVALID, "%s: type: `ca create` makes MANAGED authorities; use `ca import`",
			       file);
	*o = (struct ca_order){ .id = given(d.id), .parent = given(d.parent_id), .engine = given(d.engine_id),
		.profile = given(d.profile_id), .issuance_profile = given(d.ca_issuance_profile_id),
		.key = given(d.key_metadata.key_id),
		.path_length = -1, .metadata = d.metadata, .validity = validity_text(ctx, &d.ca_expiration) };
	if (given(d.key_metadata.type)) {
		o->keytype = keytype_find(d.key_metadata.type, d.key_metadata.bits);
		if (o->keytype == NULL)
			return err_set(e, ERR_INVALID, "%s: key_metadata: no key type %s of %d bits", file,
				       d.key_metadata.type, (int)d.key_metadata.bits);
	}
	return name_from_fields(ctx->arena, &d.subject, &o->subject, e) != 0 ? err_ctx(e, "%s: subject", file) : 0;
}

static int order_flags(struct ctx *ctx, const struct new_args *a, struct ca_order *o, struct err *e)
{
	if (a->id)
		o->id = a->id;
	if (o->id == NULL)
		return err_set(e, ERR_USAGE, "no id: name the authority, or give `id` in the document");
	if (a->subject && name_parse(ctx->arena, a->subject, &o->subject, e) != 0)
		return -1;
	if (a->key_type && (o->keytype = keytype_parse(a->key_type, e)) == NULL)
		return err_ctx(e, "--key-type");
	if (a->key_type && a->key)
		return err_set(e, ERR_USAGE, "--key names an existing key, --key-type makes one: give one of them");
	o->parent = a->parent ? a->parent : o->parent;
	o->engine = a->engine ? a->engine : o->engine;
	o->key = a->key ? a->key : a->key_type ? NULL : o->key;
	o->profile = a->profile ? a->profile : o->profile;
	o->issuance_profile = a->issuance_profile ? a->issuance_profile : o->issuance_profile;
	o->validity = a->validity ? a->validity : o->validity;
	o->allow_outlive = a->allow_outlive;
	if (a->path_length >= 0)
		o->path_length = a->path_length;
	if (a->metadata.n && metadata_from_list(ctx, &a->metadata, &o->metadata, e) != 0)
		return -1;
	if (o->key == NULL && o->keytype == NULL) /* S20: a root gets the stronger curve */
		o->keytype = keytype_parse(o->parent ? "ecdsa:256" : "ecdsa:384", e);
	return 0;
}

static int make_order(struct ctx *ctx, const struct new_args *a, struct ca_order *o, struct err *e)
{
	*o = (struct ca_order){ .path_length = -1 };
	if (a->file && order_from_doc(ctx, a->file, o, e) != 0)
		return -1;
	return order_flags(ctx, a, o, e);
}

static int run_create(struct ctx *ctx, void *args, struct err *e)
{
	SCOPED_AUTHORITY made = { 0 };
	struct ca_order o;

	if (make_order(ctx, args, &o, e) != 0 || ca_create(ctx, &o, &made, e) != 0)
		return -1;
	advise_authority(ctx, &made);
	if (ca_commit(ctx, &made, o.key == NULL, arena_printf(ctx->arena, "ca: create %s", o.id), e) != 0)
		return -1;
	return ca_print(ctx, &made, e);
}

static int run_request(struct ctx *ctx, void *args, struct err *e)
{
	const struct new_args *a = args;
	struct authority pending = { 0 };
	struct ca_order o;
	struct bytes der;
	bool known;

	if (make_order(ctx, a, &o, e) != 0)
		return -1;
	known = state_has(ctx->state, &ca_type, o.id);
	if (ca_request(ctx, &o, &der, e) != 0 || authority_load(ctx, o.id, &pending, e) != 0)
		return -1;
	if (!known && ca_commit(ctx, &pending, o.key == NULL, arena_printf(ctx->arena, "ca: request %s", o.id), e) != 0)
		return -1;
	return out_bytes(ctx, a->out, pem_encode(ctx->arena, "CERTIFICATE REQUEST", der), false, true, e);
}

#define NEW_OPTS \
	{ .name = "file", .letter = 'f', .kind = O_STR, .arg = "file", .off = offsetof(struct new_args, file), \
	  .doc = "The whole order as a YAML or JSON document; flags win over it." }, \
	OSTR(new_args, subject, 's', "dn", "Distinguished name, such as \"CN=Acme Root CA,O=Acme Corp,C=US\"."), \
	OSTR(new_args, engine, 'e', "engine", \
	     "Engine where the key is made. Default: the repository's default engine."), \
	OSTR(new_args, key_type, 'k', "key-type", \
	     "Type of the new key: rsa:2048, rsa:3072, rsa:4096, ecdsa:256, ecdsa:384, " \
	     "ecdsa:521, ed25519. Default: ecdsa:384 for roots, else ecdsa:256."), \
	OSTR(new_args, key, 0, "key", "An existing key: id, alias or URI."), \
	OSTR(new_args, issuance_profile, 0, "profile", "Default profile for what the authority issues."), \
	OLIST(new_args, metadata, 0, "key=value", "Free data.")

static const struct opt create_opts[] = {
	NEW_OPTS,
	OSTR(new_args, parent, 'p', "ca", "Authority that issues this one. Default: none, a root."),
	OSTR(new_args, profile, 0, "profile", "Profile that shapes the authority's own certificate."),
	OSTR(new_args, validity, 0, "duration|time", "How long it is valid: a duration, a time, or indefinite."),
	OINT(new_args, path_length, 0, "n", "How many levels of authorities may stand below it.", .dflt = -1),
	OFLAG(new_args, allow_outlive, 0, "Permit it to end after its parent."),
	OEND
};

static const struct operand new_operands[] = {
	PARAM(new_args, id, "id", "Identifier of the new authority.", .flags = P_OPTIONAL), { 0 }
};

const struct cmd ca_create_cmd = {
	.name = "create", .brief = "Make a root or subordinate authority", .opts = create_opts,
	.operands = new_operands, .argsize = sizeof(struct new_args), .needs = NEED_STATE | NEED_WRITE,
	.run = run_create, .type = &ca_view_type,
	.example = "lamassu ca create root --subject \"CN=Acme Root CA,O=Acme Corp,C=US\" --key-type ecdsa:384 "
		   "--validity 10y\n"
		   "lamassu ca create devices --parent root --subject \"CN=Acme Devices CA,O=Acme Corp\" --validity 5y "
		   "--issuance-profile iot-device"
};

static const struct opt request_opts[] = {
	NEW_OPTS,
	OSTR(new_args, out, 0, "file", "Where the request goes. Default: standard output."),
	OINT(new_args, path_length, 0, "n", "Path length to ask for.", .dflt = -1),
	OEND
};

const struct cmd ca_request_cmd = {
	.name = "request", .brief = "Make a request for a parent that is elsewhere", .opts = request_opts,
	.operands = new_operands, .argsize = sizeof(struct new_args), .needs = NEED_STATE | NEED_WRITE,
	.run = run_request,
	.doc = "Makes a key here and a certificate request for it, to be signed by an authority in another repository "
	       "(ca sign) and brought back with `ca install`. The authority is PENDING until then. For an authority "
	       "that exists, only its request is printed: for renewal by its parent, or for a cross certificate.",
	.example = "lamassu ca request issuing --subject \"CN=Acme Issuing CA\" --out issuing.csr"
};

/* --- import, install --- */

struct import_args {
	const char *id, *cert, *key, *engine, *issuance_profile, *crl;
	struct strv metadata;
	bool cross;
};

static bool names_a_file(const char *ref)
{
	return strcmp(ref, "-") == 0 || fs_exists(ref);
}

static int ask_passphrase(struct ctx *ctx, const char *what, const char **ret, struct err *e)
{
	const struct secret_ask ask = { .what = what, .env = "LAMASSU_IMPORT_PASSPHRASE",
					.env_general = "LAMASSU_PASSPHRASE" };
	char *secret;

	if (ctx->secret(ctx, &ask, &secret, e) != 0)
		return -1;
	*ret = secret;
	return 0;
}

static int run_import(struct ctx *ctx, void *args, struct err *e)
{
	const struct import_args *a = args;
	SCOPED_AUTHORITY made = { 0 };
	struct ca_arrival in = { .id = a->id, .engine = a->engine, .issuance_profile = a->issuance_profile };
	struct profile p;
	bool key_is_new;

	if (fs_read_input(ctx->arena, a->cert, FS_LIMIT_CERT, &in.certs, e) != 0 ||
	    metadata_from_list(ctx, &a->metadata, &in.metadata, e) != 0 ||
	    (a->issuance_profile && profile_load(ctx, a->issuance_profile, &p, e) != 0))
		return -1;
	if (a->key && names_a_file(a->key)) {
		if (fs_read_input(ctx->arena, a->key, FS_LIMIT_CERT, &in.key, e) != 0)
			return -1;
	} else {
		in.key_ref = a->key;
	}
	if (arrival_needs_passphrase(ctx->arena, &in) &&
	    ask_passphrase(ctx, "passphrase of the imported key", &in.passphrase, e) != 0)
		return -1;
	if (ca_import(ctx, &in, &made, &key_is_new, e) != 0)
		return -1;
	advise_authority(ctx, &made);
	if (ca_commit(ctx, &made, key_is_new, arena_printf(ctx->arena, "ca: import %s", a->id), e) != 0)
		return -1;
	return ca_print(ctx, &made, e);
}

static const struct opt import_opts[] = {
	OSTR(import_args, cert, 'c', "file", "Certificate, chain in any order, or PKCS#12.", .flags = O_REQ),
	OSTR(import_args, key, 'k', "file|key",
	     "Private key file, or an existing key (id, alias, URI) that stays where it is."),
	OSTR(import_args, engine, 'e', "engine",
	     "Engine that takes the key. Default: the repository's default engine."),
	OSTR(import_args, issuance_profile, 0, "profile", "Default profile for what the authority issues."),
	OLIST(import_args, metadata, 0, "key=value", "Free data."),
	OEND
};

static const struct operand import_operands[] = { PARAM(import_args, id, "id", "Identifier of the authority."), { 0 } };

const struct cmd ca_import_cmd = {
	.name = "import", .brief = "Take an existing authority, with or without its key", .opts = import_opts,
	.operands = import_operands, .argsize = sizeof(struct import_args), .needs = NEED_STATE | NEED_WRITE,
	.run = run_import, .type = &ca_view_type,
	.doc = "Without --key the authority is known for chains and validation only. A passphrase of the file is asked "
	       "for, or taken from LAMASSU_IMPORT_PASSPHRASE.",
	.example = "lamassu ca import old-root --cert old-root.pem --key old-root.key"
};

static int run_install(struct ctx *ctx, void *args, struct err *e)
{
	const struct import_args *a = args;
	SCOPED_AUTHORITY ca = { 0 };
	struct crl_made made;
	struct bytes text;

	if ((a->cert == NULL) == (a->crl == NULL))
		return err_set(e, ERR_USAGE, "give --cert or --crl, one of them");
	if (fs_read_input(ctx->arena, a->cert ? a->cert : a->crl, FS_LIMIT_BATCH, &text, e) != 0)
		return -1;
	if (a->cert ? ca_install(ctx, a->id, text, a->cross, &ca, e) != 0
		    : authority_load(ctx, a->id, &ca, e) != 0 || crl_install(ctx, &ca, text, &made, e) != 0)
		return -1;
	if (state_commit(ctx->state, arena_printf(ctx->arena, "ca: install %s", a->id), e) != 0)
		return -1;
	if (a->crl)
		return out_done(ctx, e, "installed CRL %s of %s, which revokes %zu certificate%s here", made.rec.number,
				ca.rec.id, made.taken, made.taken == 1 ? "" : "s");
	return ca_print(ctx, &ca, e);
}

static const struct opt install_opts[] = {
	OSTR(import_args, cert, 'c', "file", "The parent's answer: certificate or chain."),
	OSTR(import_args, crl, 0, "file", "A CRL of this authority that was made elsewhere."),
	OFLAG(import_args, cross, 0, "Keep it as a cross certificate beside the authority's own."),
	OEND
};

static const struct operand install_operands[] = { PARAM(import_args, id, "ca", "The authority."), { 0 } };

const struct cmd ca_install_cmd = {
	.name = "install", .brief = "Take a certificate or CRL that was made elsewhere for an authority here",
	.opts = install_opts, .operands = install_operands, .argsize = sizeof(struct import_args),
	.needs = NEED_STATE | NEED_WRITE, .run = run_install, .type = &ca_view_type,
	.example = "lamassu ca install issuing --cert issuing.pem\nlamassu ca install root --crl root.crl"
};

/* --- reissue --- */

struct reissue_args {
	const char *ca, *new_id, *engine, *key_type, *profile, *validity, *reason;
	bool new_key, allow_outlive;
};

static int run_reissue(struct ctx *ctx, void *args, struct err *e)
{
	const struct reissue_args *a = args;
	SCOPED_AUTHORITY made = { 0 };
	struct ca_renewal in = { .id = a->ca, .new_key = a->new_key || a->new_id || a->key_type, .new_id = a->new_id,
		.engine = a->engine, .profile = a->profile, .validity = a->validity, .reason = a->reason,
		.allow_outlive = a->allow_outlive };

	if (a->key_type && (in.keytype = keytype_parse(a->key_type, e)) == NULL)
		return err_ctx(e, "--key-type");
	if (ca_reissue(ctx, &in, &made, e) != 0)
		return -1;
	advise_authority(ctx, &made);
	if (ca_commit(ctx, &made, in.new_key, arena_printf(ctx->arena, "ca: reissue %s", a->ca), e) != 0)
		return -1;
	return ca_print(ctx, &made, e);
}

static const struct opt reissue_opts[] = {
	OFLAG(reissue_args, new_key, 0, "With a new key, under a new id; a root also gets link certificates."),
	OSTR(reissue_args, new_id, 0, "id",
	     "Id of the authority with the new key. Default: the old one with -g2, -g3 and so on."),
	OSTR(reissue_args, key_type, 'k', "key-type", "Type of the new key. Default: as the old one."),
	OSTR(reissue_args, engine, 'e', "engine", "Engine of the new key. Default: where the old one is."),
	OSTR(reissue_args, profile, 0, "profile",
	     "Profile that shapes the new certificate. Default: the authority's; without one it is as the old one."),
	OSTR(reissue_args, validity, 0, "duration|time",
	     "How long it is valid. Default: as long as the old one was, or until the parent ends."),
	OFLAG(reissue_args, allow_outlive, 0, "Permit it to end after its parent."),
	OSTR(reissue_args, reason, 0, "text", "Why; kept in the metadata of both sides."),
	OEND
};

static const struct operand reissue_operands[] = { PARAM(reissue_args, ca, "ca", "The authority."), { 0 } };

const struct cmd ca_reissue_cmd = {
	.name = "reissue", .brief = "Renew an authority's certificate, with the same or a new key",
	.opts = reissue_opts, .operands = reissue_operands, .argsize = sizeof(struct reissue_args),
	.needs = NEED_STATE | NEED_WRITE, .run = run_reissue, .type = &ca_view_type,
	.example = "lamassu ca reissue root\nlamassu ca reissue root --new-key --new-id root-2027"
};
