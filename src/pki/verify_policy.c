/* The policy branch under `repo verify`: records load, are named by their ids, and refer to what is there; authorities
 * have the certificates and keys that they claim, each issued by its parent. */
#include <string.h>

#include "base/text.h"
#include "crypto/digest.h"
#include "crypto/key.h"
#include "model/dms.h"
#include "model/engine.h"
#include "model/profile.h"
#include "pki/verify_parts.h"
#include "state/ledger.h"

enum { MAX_LEVELS = 32 };

/* --- any record --- */

static void check_reference(struct verifying *v, const char *path, const struct field *f, const char *id)
{
	if (id && !state_has(v->ctx->state, f->to, id))
		verify_found(v, path, arena_printf(v->ctx->arena, "make the %s, or change the field", f->to->name),
			     "%s: %s \"%s\" is not there", f->name, f->to->name, id);
}

static void check_references(struct verifying *v, const char *path, const struct schema *sc, const void *rec)
{
	for (const struct field *f = sc->fields; f->name; f++) {
		const void *p = (const char *)rec + f->off;

		if (f->kind == F_REF) {
			check_reference(v, path, f, *(char *const *)p);
		} else if (f->kind == F_REFV) {
			const struct strv *list = p;
			for (size_t i = 0; i < list->n; i++)
				check_reference(v, path, f, list->v[i]);
		} else if (f->kind == F_OBJ) {
			check_references(v, path, f->sub, p);
		}
	}
}

/* Loads one; false when it does not. */
static bool check_record(struct verifying *v, const struct schema *sc, const char *id, void *rec)
{
	char *path = schema_path(v->ctx->arena, sc, id);
	struct err why = { 0 };

	if (state_get(v->ctx->state, sc, id, rec, &why) != 0) {
		verify_found(v, path, "edit the file and commit it, or take it from an earlier commit: git log shows "
				      "them", "%s", why.msg);
		return false;
	}
	check_references(v, path, sc, rec);
	return true;
}

/* What lies in the folder of a type without being one of its records. */
static void check_strays(struct verifying *v, const struct schema *sc, const struct strv *ids)
{
	struct arena *ar = v->ctx->arena;
	char *dir = arena_strndup(ar, sc->path, strcspn(sc->path, "/"));
	struct err ignored = { 0 };
	struct strv names;

	if (state_names(v->ctx->state, dir, &names, &ignored) != 0)
		return;
	for (size_t i = 0; i < names.n; i++) {
		bool known = false;

		for (size_t k = 0; k < ids->n && !known; k++)
			known = strcmp(names.v[i], schema_path(ar, sc, ids->v[k])) == 0 ||
				strcmp(names.v[i], arena_printf(ar, "%s/%s", dir, ids->v[k])) == 0;
		if (!known)
			verify_found(v, names.v[i], "give it a name that is an id, or move it elsewhere",
				     "it is not a %s", sc->name);
	}
}

/* --- keys --- */

static void check_key(struct verifying *v, const struct key *k)
{
	AUTO(EVP_PKEY) *pub = NULL;
	struct arena *ar = v->ctx->arena;
	const struct key_binding *bound = k->bound.v;
	char *path = schema_path(ar, &key_type, k->id);
	struct bytes spki;
	struct err why = { 0 };

	if (key_from_public_pem(bytes_of(k->public_key), &pub, &why) != 0 || key_spki(ar, pub, &spki, &why) != 0)
		verify_found(v, path, "take the file from an earlier commit", "public_key: %s", why.msg);
	else if (strcmp(key_id(ar, spki), k->id) != 0)
		verify_found(v, path, "take the file from an earlier commit", "the id is not the digest of the public "
									      "key");
	for (size_t i = 0; i < k->bound.n; i++)
		if (strcmp(bound[i].resource_type, "ca") == 0 && !state_has(v->ctx->state, &ca_type,
									    bound[i].resource_id))
			verify_found(v, path, "remove the binding", "bound: ca \"%s\" is not there",
				     bound[i].resource_id);
}

/* --- authorities --- */

/* "cas/root/5f3a.pem" -> "5f3a"; NULL for names that are no serial numbers, and for "ca", which could be one. */
static char *serial_of(struct arena *ar, const char *file)
{
	const char *name = strrchr(file, '/') + 1;
	size_t n = strspn(name, "0123456789abcdef");

	return n && strcmp(name, "ca.pem") != 0 && strcmp(name + n, ".pem") == 0 ? arena_strndup(ar, name, n) : NULL;
}

static void load_cert(struct verifying *v, struct issuer *is, const char *file)
{
	struct arena *ar = v->ctx->arena;
	struct issuer_cert *c;
	struct err why = { 0 };
	struct bytes pem;
	char *serial = serial_of(ar, file);

	if (state_read(v->ctx->state, file, &pem, &why) != 0) {
		verify_found(v, file, "take the file from an earlier commit", "%s", why.msg);
		return;
	}
	c = verify_add_cert(v, is, file, pem);
	if (c && serial && strcmp(serial, cert_serial_hex(ar, c->cert.serial)) != 0)
		verify_found(v, file, "take the file from an earlier commit", "it holds the certificate %s",
			     cert_serial_hex(ar, c->cert.serial));
}

static void load_certs(struct verifying *v, struct issuer *is)
{
	struct arena *ar = v->ctx->arena;
	char *dir = arena_printf(ar, "cas/%s", is->rec.id), *newest = arena_printf(ar, "%s/ca.pem", dir);
	struct err why = { 0 };
	struct strv files = { 0 };

	if (state_names(v->ctx->state, dir, &files, &why) != 0)
		verify_found(v, dir, "take the folder from an earlier commit", "%s", why.msg);
	for (size_t i = 0; i < files.n; i++) {
		size_t n = strlen(files.v[i]);

		if (n > 4 && strcmp(files.v[i] + n - 4, ".pem") == 0)
			load_cert(v, is, files.v[i]);
	}
	for (size_t i = 0; i < is->n && is->rec.serial_number; i++)
		if (strcmp(cert_serial_hex(ar, is->v[i].cert.serial), is->rec.serial_number) == 0)
			is->newest = &is->v[i];
	for (size_t i = 0; i < files.n; i++)
		if (strcmp(files.v[i], newest) == 0)
			return;
	if (is->rec.serial_number)
		verify_found(v, newest, "take the file from an earlier commit", "the certificate of ca %s is missing",
			     is->rec.id);
}

/* ca.pem and the record must speak of one certificate. */
static void check_newest(struct verifying *v, const struct issuer *is)
{
	struct arena *ar = v->ctx->arena;
	char *path = arena_printf(ar, "cas/%s/ca.pem", is->rec.id);
	struct err ignored = { 0 };
	struct bytes pem;
	struct cert c;

	if (is->rec.serial_number && state_read(v->ctx->state, path, &pem, &ignored) == 0 &&
	    cert_parse(ar, pem, &c, &ignored) == 0 &&
	    strcmp(cert_serial_hex(ar, c.serial), is->rec.serial_number) != 0)
		verify_found(v, path, "take both files from one commit", "it is not the certificate that ca.yaml "
									 "names (%s)",
			     is->rec.serial_number);
	if (is->newest && is->rec.key && strcmp(is->rec.key, sha256_hex(ar, is->newest->cert.spki)) != 0)
		verify_found(v, arena_printf(ar, "cas/%s/ca.yaml", is->rec.id), "take both files from one commit",
			     "key: the key is not that of the certificate");
	if (is->rec.key && !state_has(v->ctx->state, &key_type, is->rec.key))
		verify_found(v, arena_printf(ar, "cas/%s/ca.yaml", is->rec.id), "take the key's record from an "
										"earlier commit",
			     "key: key \"%s\" is not there", is->rec.key);
}

static void check_in_ledger(struct verifying *v, const struct issuer *is, const char *issued_by)
{
	struct certrec rec;
	struct err why = { 0 };

	if (ledger_cert(v->ctx->state, issued_by, is->rec.serial_number, &rec, &why) == 0)
		return;
	if (why.code == ERR_NOT_FOUND && ledger_cert(v->ctx->state, "-", is->rec.serial_number, &rec, &why) == 0)
		return;
	if (why.code == ERR_NOT_FOUND)
		verify_found(v, is->newest->file, "lamassu repo sync brings entries of other clones; else import the "
						  "certificate again",
			     "the certificate is not in the ledger");
}

/* The chain upwards, and how many authorities each of its certificates allows below itself. */
static void check_parents(struct verifying *v, const struct issuer *is)
{
	const struct issuer *at = is;
	const char *why;

	for (int64_t below = 0; below < MAX_LEVELS; below++) {
		const struct issuer *up = at->rec.parent_id ? verify_issuer(v, at->rec.parent_id) : NULL;

		if (up == NULL || up->newest == NULL)
			return;
		why = below == 0 ? verify_chain(v->ctx->arena, &at->newest->cert, up) : NULL;
		if (why)
			verify_found(v, is->newest->file, "set the parent that issued it, or reissue it: lamassu ca "
							  "reissue", "%s", why);
		if (up->newest->cert.path_length >= 0 && up->newest->cert.path_length < below)
			verify_found(v, is->newest->file, "reissue the authority above with a longer path length",
				     "ca %s allows only %d authorities below it (RFC 5280 4.2.1.9)", up->rec.id,
				     (int)up->newest->cert.path_length);
		at = up;
	}
	verify_found(v, is->newest->file, "correct parent_id", "the chain of parents has a loop, or more than %d "
							       "levels", MAX_LEVELS);
}

static void check_authority(struct verifying *v, const struct issuer *is)
{
	bool self;
	const char *why;

	check_newest(v, is);
	if (is->newest == NULL)
		return;
	self = bytes_equal(is->newest->cert.subject, is->newest->cert.issuer);
	if (self && (why = verify_chain(v->ctx->arena, &is->newest->cert, is)))
		verify_found(v, is->newest->file, "take the file from an earlier commit", "%s", why);
	if (!self)
		check_parents(v, is);
	check_in_ledger(v, is, is->rec.parent_id ? is->rec.parent_id : self ? is->rec.id : "-");
}

/* --- all of it --- */

static int check_type(struct verifying *v, const struct schema *sc, struct err *e)
{
	struct strv ids;

	if (state_ids(v->ctx->state, sc, &ids, e) != 0)
		return -1;
	check_strays(v, sc, &ids);
	for (size_t i = 0; i < ids.n; i++) {
		void *rec = arena_alloc(v->ctx->arena, 1, sc->size);

		if (!check_record(v, sc, ids.v[i], rec))
			continue;
		if (sc == &key_type)
			check_key(v, rec);
		if (sc != &ca_type)
			continue;
		v->issuers = arena_grow(v->ctx->arena, v->issuers, v->nissuers, sizeof(*v->issuers));
		v->issuers[v->nissuers++] = (struct issuer){ .rec = *(const struct ca *)rec, .here = true };
	}
	return 0;
}

int verify_policy(struct verifying *v, struct err *e)
{
	static const struct schema *const types[] = { &engine_type, &profile_type, &key_type, &ca_type };
	const struct config *c = state_config(v->ctx->state);

	for (size_t i = 0; i < COUNT(types); i++)
		if (check_type(v, types[i], e) != 0)
			return -1;
	if (!state_has(v->ctx->state, &engine_type, c->default_engine))
		verify_found(v, "lamassu.yaml", "make the engine: lamassu kms engine add, or change the field",
			     "default_engine: engine \"%s\" is not there", c->default_engine);
	if (c->est.default_dms && !state_has(v->ctx->state, &dms_type, c->est.default_dms))
		verify_found(v, "lamassu.yaml", "make the device manager: lamassu dms create, or change the field",
			     "est.default_dms: dms \"%s\" is not there", c->est.default_dms);
	for (size_t i = 0; i < v->nissuers; i++)
		load_certs(v, &v->issuers[i]);
	for (size_t i = 0; i < v->nissuers; i++)
		check_authority(v, &v->issuers[i]);
	v->seen.authorities = v->nissuers;
	return 0;
}
