/* Secrets of devices. Guarantees: what is kept is in files that only their owner can read, outside of the history, and
 * does not give a secret away unless it is for TLS, which needs it; whether a device has a secret cannot be told from
 * the time that a check takes; a secret of single use is spent by the creation of one file, which the file system
 * grants once. */
#include "pki/psk.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "crypto/ossl.h"
#include "engine/engine.h"
#include "model/device.h"
#include "state/state.h"

enum { SALT = 16, HASH = 32, SCRYPT_N = 1 << 14, SCRYPT_R = 8, SCRYPT_P = 1, SCRYPT_MEMORY = 64 << 20,
       FILE_BYTES = 4096, NAME_BYTES = 200, LIST_MAX = 1 << 22 };

static const char *const store_names[] = { "scrypt", "ha1", "tls", NULL };
static const struct field psk_fields[] = {
	STR(psk, device, "The device.", .flags = F_REQ),
	ENUM(psk, store, store_names, "How the secret is kept.", .flags = F_SHOW0),
	BOOL(psk, single_use, "Whether it serves once.", .dflt = "false"),
	TIME(psk, created_at, "When it was set."),
	BYTES(psk, salt, "Salt of scrypt."),
	BYTES(psk, hash, "What is left of the secret."),
	BYTES(psk, key, "The secret itself, for TLS."),
	END
};
static const struct schema psk_type = { .name = "psk", .plural = "psks", .doc = "A secret of a device",
					.size = sizeof(struct psk), .fields = psk_fields };

static char *folder_of(struct ctx *ctx, const char *dms)
{
	return fs_join(ctx->arena, psk_folder(ctx), dms);
}

static char *name_of(struct arena *a, const char *device, const char *suffix)
{
	char *name = text_file_name(a, device, NAME_BYTES);

	if (strlen(name) >= NAME_BYTES)
		name = arena_printf(a, "~%s", sha256_hex(a, bytes_of(device)));
	return arena_printf(a, "%s%s", name, suffix);
}

static char *file_of(struct ctx *ctx, const struct dms *dms, const char *device, const char *suffix)
{
	return fs_join(ctx->arena, folder_of(ctx, dms->id), name_of(ctx->arena, device, suffix));
}

char *psk_folder(const struct ctx *ctx)
{
	return fs_join(ctx->arena, state_private(ctx->state), "psk");
}

char *psk_realm(struct arena *a, const struct dms *dms)
{
	return arena_printf(a, "EST %s", dms->id);
}

static bool stretch(struct bytes secret, struct bytes salt, unsigned char out[HASH])
{
	return EVP_PBE_scrypt((const char *)secret.p, secret.n, salt.p, salt.n, SCRYPT_N, SCRYPT_R, SCRYPT_P,
			      SCRYPT_MEMORY, out, HASH) == 1;
}

/* H(user ":" realm ":" secret) */
static void ha1(struct arena *a, const struct dms *dms, const char *device, struct bytes secret,
		unsigned char out[HASH])
{
	SCOPED_BUF text = buf_init(BUF_TEXT);

	buf_printf(&text, "%s:%s:", device, psk_realm(a, dms));
	buf_put(&text, secret.p, secret.n);
	sha256(buf_bytes(&text), out);
}

char *psk_random(struct arena *a, const struct dms *dms)
{
	unsigned char key[HASH];
	char *text;

	if (dms->settings.enrollment_settings.est_rfc7030_settings.authentication.psk.store != PSK_TLS)
		return engine_passphrase_random(a);
	text = RAND_bytes(key, sizeof(key)) == 1 ? hex_encode(a, (struct bytes){ key, sizeof(key) }) : NULL;
	OPENSSL_cleanse(key, sizeof(key));
	return text;
}

int psk_secret_check(struct arena *a, const struct dms *dms, const char *secret, struct err *e)
{
	bool tls = dms->settings.enrollment_settings.est_rfc7030_settings.authentication.psk.store == PSK_TLS;
	size_t n = strlen(secret);
	struct bytes key;

	if (tls && (hex_decode(a, secret, &key) != 0 || key.n < PSK_KEY_MIN || key.n > PSK_KEY_MAX))
		return err_set(e, ERR_INVALID,
			       "a secret for TLS must have from %d to %d hexadecimal digits; --generate makes one",
			       2 * PSK_KEY_MIN, 2 * PSK_KEY_MAX);
	if (!tls && (n < PSK_MIN || n > PSK_MAX))
		return err_set(e, ERR_INVALID, "the secret must have from %d to %d bytes", PSK_MIN, PSK_MAX);
	return 0;
}

/* What is kept of a secret; `salt` and `hash` are the caller's room. */
static int keep(struct arena *a, const struct dms *dms, const char *secret, struct psk *p, unsigned char salt[SALT],
		unsigned char hash[HASH], struct err *e)
{
	if (p->store == PSK_TLS)
		return hex_decode(a, secret, &p->key) == 0 ? 0
							   : err_set(e, ERR_INVALID,
								     "a secret for TLS must be in hexadecimal digits");
	p->hash = (struct bytes){ hash, HASH };
	if (p->store == PSK_HA1) {
		ha1(a, dms, p->device, bytes_of(secret), hash);
		return 0;
	}
	p->salt = (struct bytes){ salt, SALT };
	return RAND_bytes(salt, SALT) == 1 && stretch(bytes_of(secret), p->salt, hash)
	       ? 0 : err_ossl(e, "the secret cannot be stretched");
}

int psk_set(struct ctx *ctx, const struct dms *dms, const char *device, const char *secret, bool single_use,
	    struct err *e)
{
	const struct psk_auth *how = &dms->settings.enrollment_settings.est_rfc7030_settings.authentication.psk;
	unsigned char salt[SALT], hash[HASH];
	struct psk p = { .device = arena_strdup(ctx->arena, device), .store = how->store, .single_use = single_use,
			 .created_at = ctx->now };
	SCOPED_BUF text = buf_init(FILE_BYTES);

	if (psk_secret_check(ctx->arena, dms, secret, e) != 0)
		return -1;
	if (psk_source(ctx->arena, dms))
		return psk_list_set(ctx, dms, device, secret, e);
	if (keep(ctx->arena, dms, secret, &p, salt, hash, e) != 0)
		return -1;
	rec_emit(&psk_type, &p, &text);
	if (ctx->dry_run)
		return 0;
	if (fs_mkdirs(folder_of(ctx, dms->id), 0700, e) != 0 ||
	    fs_write(file_of(ctx, dms, device, ".yaml"), buf_bytes(&text), 0600, true, e) != 0)
		return -1;
	psk_unspend(ctx, dms, device, NULL);
	return 0;
}

int psk_remove(struct ctx *ctx, const struct dms *dms, const char *device, struct err *e)
{
	const char *file = file_of(ctx, dms, device, ".yaml");

	if (psk_source(ctx->arena, dms))
		return psk_list_set(ctx, dms, device, NULL, e);
	if (!fs_exists(file))
		return err_set(e, ERR_NOT_FOUND, "device \"%s\" shares no secret with dms %s",
			       text_escape(ctx->arena, bytes_of(device)), dms->id);
	if (ctx->dry_run)
		return 0;
	if (unlink(file) != 0)
		return err_sys(e, file);
	psk_unspend(ctx, dms, device, NULL);
	return 0;
}

static int load(struct arena *a, const char *file, const char *device, struct psk *ret, struct err *e)
{
	struct bytes text;

	if (fs_read(a, file, FILE_BYTES, &text, e) != 0 || rec_load(a, &psk_type, file, text, ret, e) != 0)
		return -1;
	ret->mark = NULL;
	if (strcmp(ret->device, device) != 0 ||
	    (ret->store == PSK_TLS ? ret->key.n < PSK_KEY_MIN || ret->key.n > PSK_KEY_MAX : ret->hash.n != HASH))
		return err_set(e, ERR_INVALID, "%s: is not the secret of that device", file);
	return 0;
}

int psk_load(struct ctx *ctx, const struct dms *dms, const char *device, struct psk *ret, struct err *e)
{
	return load(ctx->arena, file_of(ctx, dms, device, ".yaml"), device, ret, e);
}

bool psk_check(struct arena *a, const struct dms *dms, const struct psk *p, struct bytes secret)
{
	static const unsigned char none[HASH];
	int kept = psk_source(a, dms) ? PSK_HA1
				      : dms->settings.enrollment_settings.est_rfc7030_settings.authentication.psk.store;
	int store = p ? p->store : kept;
	bool hashed = p && p->store != PSK_TLS, made = true, same;
	unsigned char hash[HASH];

	if (store == PSK_HA1)
		ha1(a, dms, p ? p->device : "nobody", secret, hash);
	else
		made = stretch(secret, hashed ? p->salt : (struct bytes){ none, SALT }, hash);
	same = CRYPTO_memcmp(hash, hashed ? p->hash.p : none, HASH) == 0;
	OPENSSL_cleanse(hash, sizeof(hash));
	return made && hashed && same;
}

/* --- in TLS --- */

/* Of nobody, below psk_folder(): read where there is no other, so that it takes as long. */
static const char nobody[] = ".nobody";

int psk_prepare(struct ctx *ctx, struct err *e)
{
	unsigned char key[HASH];
	const struct psk p = { .device = arena_strdup(ctx->arena, nobody), .store = PSK_TLS, .created_at = ctx->now,
			       .key = { key, HASH } };
	const char *file = fs_join(ctx->arena, psk_folder(ctx), nobody);
	SCOPED_BUF text = buf_init(FILE_BYTES);

	if (fs_exists(file))
		return 0;
	if (RAND_bytes(key, HASH) != 1)
		return err_ossl(e, "no random numbers");
	rec_emit(&psk_type, &p, &text);
	return fs_mkdirs(psk_folder(ctx), 0700, e) != 0 || fs_write(file, buf_bytes(&text), 0600, true, e) != 0
	       ? -1 : 0;
}

static char *file_in(struct arena *a, const char *folder, const char *dms, const char *device)
{
	return fs_join(a, fs_join(a, folder, dms), name_of(a, device, ".yaml"));
}

static const struct psk_list *list_of(const struct psk_places *at, const char *dms)
{
	for (size_t i = 0; i < at->nlists; i++)
		if (strcmp(at->lists[i].dms, dms) == 0)
			return &at->lists[i];
	return NULL;
}

/* Whether the manager shares a secret with the device; of a list *ret_secret is it. */
static bool shares(struct arena *a, const struct psk_places *at, const char *dms, const char *device, char **ret_secret)
{
	const struct psk_list *list = list_of(at, dms);

	return list ? psk_list_find(a, list->text, device, ret_secret) : fs_exists(file_in(a, at->folder, dms, device));
}

struct candidate {
	const char *dms, *device;
	char *secret; /* NULL: it is in a file */
	size_t n;     /* how many managers there are for it */
};

/* What the identity stands for: DMS/DEVICE, or else the device alone. */
static struct candidate seek(struct arena *a, const struct psk_places *at, const struct strv *managers,
			     const char *identity, bool full)
{
	struct candidate c = { .device = nobody };

	for (size_t i = 0; i < managers->n; i++) {
		const char *id = managers->v[i], *rest = identity + strlen(id);
		const char *device = !full ? identity : text_has_prefix(identity, id) && *rest == '/'
				     ? rest + 1 : nobody;
		char *secret = NULL;

		if (shares(a, at, id, device, &secret))
			c = (struct candidate){ .dms = id, .device = device, .secret = secret, .n = c.n + 1 };
	}
	return c;
}

/* All that have secrets: in a folder here, or in a list. */
static void all_managers(struct arena *a, const struct psk_places *at, struct strv *ret)
{
	struct err ignored = { 0 };
	struct strv here;

	*ret = (struct strv){ 0 };
	if (fs_list(a, at->folder, LIST_MAX, &here, &ignored) != 0)
		here.n = 0;
	ret->v = arena_new_array(a, here.n + at->nlists + 1, char *);
	for (size_t i = 0; i < here.n; i++)
		if (!list_of(at, here.v[i]))
			ret->v[ret->n++] = here.v[i];
	for (size_t i = 0; i < at->nlists; i++)
		ret->v[ret->n++] = arena_strdup(a, at->lists[i].dms);
}

void psk_find(struct arena *a, const struct psk_places *at, const char *identity, struct psk_found *ret)
{
	const char *file = fs_join(a, at->folder, nobody);
	struct strv managers = at->managers;
	struct candidate full, plain, c;
	struct err ignored = { 0 };
	struct psk p;
	bool loaded;

	*ret = (struct psk_found){ 0 };
	if (managers.n == 0)
		all_managers(a, at, &managers);
	full = seek(a, at, &managers, identity, true); /* always both, and then one file */
	plain = seek(a, at, &managers, identity, false);
	c = full.n == 1 ? full : plain;
	if (c.n == 1 && !c.secret)
		file = file_in(a, at->folder, c.dms, c.device);
	loaded = load(a, file, c.n == 1 && !c.secret ? c.device : nobody, &p, &ignored) == 0 && p.store == PSK_TLS;
	if (c.n != 1 || (c.secret ? hex_decode(a, c.secret, &p.key) != 0 : !loaded))
		return;
	*ret = (struct psk_found){ c.dms, c.device, p.key };
}

int psk_load_listed(struct ctx *ctx, const struct dms *dms, struct bytes list, const char *device, struct psk *ret,
		    struct err *e)
{
	bool tls = dms->settings.enrollment_settings.est_rfc7030_settings.authentication.psk.store == PSK_TLS;
	struct psk p = { .device = arena_strdup(ctx->arena, device), .store = tls ? PSK_TLS : PSK_HA1,
			 .single_use = true }, none;
	unsigned char *hash = arena_alloc(ctx->arena, 1, HASH);
	char *secret;

	if (load(ctx->arena, fs_join(ctx->arena, psk_folder(ctx), nobody), nobody, &none, e) != 0)
		return err_set(e, ERR_IO, "what a listener makes when it starts is gone");
	if (!psk_list_find(ctx->arena, list, device, &secret))
		return err_set(e, ERR_NOT_FOUND, "device \"%s\" shares no secret with dms %s",
			       text_escape(ctx->arena, bytes_of(device)), dms->id);
	if (keep(ctx->arena, dms, secret, &p, NULL, hash, e) != 0)
		return -1;
	p.mark = psk_mark(ctx->arena, none.key, dms, device, secret);
	*ret = p;
	return 0;
}

/* --- single use --- */

static char *spent_file(struct ctx *ctx, const struct dms *dms, const char *device, const char *mark)
{
	return file_of(ctx, dms, device, mark ? arena_printf(ctx->arena, ".%s.used", mark) : ".used");
}

int psk_spent_on(struct ctx *ctx, const struct dms *dms, const char *device, const char *mark, char **ret,
		 struct err *e)
{
	struct bytes text;

	*ret = NULL;
	if (fs_read(ctx->arena, spent_file(ctx, dms, device, mark), FILE_BYTES, &text, e) == 0)
		*ret = arena_strndup(ctx->arena, (const char *)text.p, text.n);
	else if (e->code != ERR_NOT_FOUND)
		return -1;
	return 0;
}

int psk_spend(struct ctx *ctx, const struct dms *dms, const char *device, const char *mark, const char *request,
	      struct err *e)
{
	struct err why = { 0 };
	char *on;

	if (mark && fs_mkdirs(folder_of(ctx, dms->id), 0700, e) != 0)
		return -1;
	if (fs_write(spent_file(ctx, dms, device, mark), bytes_of(request), 0600, false, &why) == 0)
		return 0;
	if (why.code != ERR_EXISTS)
		return err_set(e, why.code, "%s", why.msg);
	if (psk_spent_on(ctx, dms, device, mark, &on, e) != 0)
		return -1;
	return on && strcmp(on, request) == 0 ? 0 : err_set(e, ERR_DENIED, "the secret was used already");
}

static void drop(struct ctx *ctx, const char *file)
{
	if (fs_exists(file) && unlink(file) != 0)
		ctx_warn(ctx, "%s cannot be removed", file);
}

void psk_unspend(struct ctx *ctx, const struct dms *dms, const char *device, const char *mark)
{
	drop(ctx, spent_file(ctx, dms, device, mark));
}

/* --- what is left of the deleted --- */

static void list(struct ctx *ctx, const char *folder, struct strv *ret)
{
	struct err e = { 0 };

	*ret = (struct strv){ 0 };
	if (fs_list(ctx->arena, folder, LIST_MAX, ret, &e) != 0 && e.code != ERR_NOT_FOUND)
		ctx_warn(ctx, "secrets of devices: %s", e.msg);
}

static void drop_all(struct ctx *ctx, const char *folder)
{
	struct strv files;

	list(ctx, folder, &files);
	for (size_t i = 0; i < files.n; i++)
		drop(ctx, fs_join(ctx->arena, folder, files.v[i]));
}

/* What a secret of a list was spent on stays, as the secret does. */
static void drop_one(struct ctx *ctx, const char *folder, const char *device)
{
	drop(ctx, fs_join(ctx->arena, folder, name_of(ctx->arena, device, ".yaml")));
	drop(ctx, fs_join(ctx->arena, folder, name_of(ctx->arena, device, ".used")));
}

void psk_forget(struct ctx *ctx, const char *dms, const char *device)
{
	struct strv managers = { .v = &(char *){ arena_strdup(ctx->arena, dms) }, .n = 1 };

	if (ctx->dry_run)
		return;
	if (!dms)
		list(ctx, psk_folder(ctx), &managers);
	for (size_t i = 0; i < managers.n; i++) {
		const char *folder = folder_of(ctx, managers.v[i]);

		if (!fs_is_dir(folder))
			continue;
		if (device) {
			drop_one(ctx, folder, device);
			continue;
		}
		drop_all(ctx, folder);
		if (rmdir(folder) != 0)
			ctx_warn(ctx, "%s cannot be removed", folder);
	}
}
