/* Secrets of devices that are not kept here: a text of lines DEVICE:SECRET that a reference or an engine's store gives.
 * Guarantees: what is not such a list is refused as a whole, and no message holds any of it but the number of a
 * line. */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "base/text.h"
#include "crypto/digest.h"
#include "engine/engine.h"
#include "model/device.h"
#include "pki/psk.h"

enum { MARK = 8, BLOB_MAX = 1 << 16 };

static const struct psk_auth *settings(const struct dms *dms)
{
	return &dms->settings.enrollment_settings.est_rfc7030_settings.authentication.psk;
}

const char *psk_source(struct arena *a, const struct dms *dms)
{
	const struct dms_authentication *au = &dms->settings.enrollment_settings.est_rfc7030_settings.authentication;
	const struct psk_auth *how = &au->psk;

	if (au->type != AUTH_PSK)
		return NULL;
	return how->secrets ? how->secrets : how->engine ? arena_printf(a, "engine %s", how->engine) : NULL;
}

struct entry {
	struct bytes line, device, secret; /* device.p NULL: there is no colon */
	size_t number;
};

/* The next line that says something; false: there is none. */
static bool next(struct bytes *left, struct entry *x)
{
	while (left->n) {
		const unsigned char *end = memchr(left->p, '\n', left->n), *colon;
		size_t n = end ? (size_t)(end - left->p) : left->n, took = n + (end != NULL);
		struct bytes line = { left->p, n && left->p[n - 1] == '\r' ? n - 1 : n };

		*left = (struct bytes){ left->p + took, left->n - took };
		x->number++;
		if (line.n == 0 || line.p[0] == '#')
			continue;
		colon = memchr(line.p, ':', line.n);
		x->line = line;
		x->device = (struct bytes){ colon ? line.p : NULL, colon ? (size_t)(colon - line.p) : 0 };
		x->secret = colon ? (struct bytes){ colon + 1, line.n - x->device.n - 1 } : (struct bytes){ 0 };
		return true;
	}
	return false;
}

bool psk_list_find(struct arena *a, struct bytes list, const char *device, char **ret)
{
	struct entry x = { 0 };
	bool found = false;

	while (next(&list, &x)) { /* to the end: who is in it does not show in the time */
		if (!bytes_equal(x.device, bytes_of(device)))
			continue;
		*ret = arena_strndup(a, (const char *)x.secret.p, x.secret.n);
		found = true;
	}
	return found;
}

static int check_entry(struct arena *a, const struct dms *dms, struct bytes list, const struct entry *x, struct err *e)
{
	struct err why = { 0 };
	struct entry other = { 0 };
	char *device, *secret;

	if (!x->device.p)
		return err_set(e, ERR_INVALID, "line %zu: must be DEVICE:SECRET", x->number);
	device = arena_strndup(a, (const char *)x->device.p, x->device.n);
	secret = arena_strndup(a, (const char *)x->secret.p, x->secret.n);
	if (strlen(device) != x->device.n || device_id_check(device, &why) != 0)
		return err_set(e, ERR_INVALID, "line %zu: names no device", x->number);
	if (strlen(secret) != x->secret.n || psk_secret_check(a, dms, secret, &why) != 0)
		return err_set(e, ERR_INVALID, "line %zu: %s", x->number, why.code ? why.msg : "a NUL byte");
	while (next(&list, &other) && other.number < x->number)
		if (bytes_equal(other.device, x->device))
			return err_set(e, ERR_INVALID, "line %zu: the device of line %zu again", x->number,
				       other.number);
	return 0;
}

int psk_list_check(struct arena *a, const struct dms *dms, struct bytes list, struct err *e)
{
	struct bytes left = list;
	struct entry x = { 0 };

	while (next(&left, &x))
		if (check_entry(a, dms, list, &x, e) != 0)
			return -1;
	return 0;
}

static char *blob_of(struct arena *a, const struct dms *dms)
{
	return arena_printf(a, "psk.%s", dms->id);
}

int psk_list_read(struct ctx *ctx, const struct dms *dms, struct bytes *ret, struct err *e)
{
	const struct psk_auth *how = settings(dms);
	const char *version;
	struct bytes list;
	char *text;
	int r;

	if (how->engine) {
		r = engine_blob(ctx, how->engine, blob_of(ctx->arena, dms), &list, &version, e);
	} else {
		r = secret_resolve(ctx->arena, "its reference", how->secrets, &text, e);
		list = r == 0 ? bytes_of(text) : (struct bytes){ 0 };
	}
	if (r != 0 || psk_list_check(ctx->arena, dms, list, e) != 0)
		return err_ctx(e, "dms %s: secrets of devices", dms->id);
	*ret = list;
	return 0;
}

int psk_list_set(struct ctx *ctx, const struct dms *dms, const char *device, const char *secret, struct err *e)
{
	const struct psk_auth *how = settings(dms);
	SCOPED_BUF text = buf_init(BLOB_MAX + 1);
	const char *version = NULL;
	struct bytes list = { 0 };
	struct entry x = { 0 };
	bool there = false;

	if (!how->engine)
		return err_set(e, ERR_CONFLICT,
			       "dms %s takes the secrets of its devices from elsewhere (psk.secrets): set them there",
			       dms->id);
	if (engine_blob(ctx, how->engine, blob_of(ctx->arena, dms), &list, &version, e) != 0) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		*e = (struct err){ 0 };
	}
	while (next(&list, &x)) {
		if (bytes_equal(x.device, bytes_of(device)))
			there = true;
		else
			buf_printf(&text, "%.*s\n", (int)x.line.n, (const char *)x.line.p);
	}
	if (!secret && !there)
		return err_set(e, ERR_NOT_FOUND, "device \"%s\" shares no secret with dms %s",
			       text_escape(ctx->arena, bytes_of(device)), dms->id);
	if (secret && (*device == '#' || strchr(device, ':')))
		return err_set(e, ERR_INVALID, "device \"%s\": such a name cannot stand in a list of secrets", device);
	if (secret)
		buf_printf(&text, "%s:%s\n", device, secret);
	if (text.n > BLOB_MAX || text.over)
		return err_set(e, ERR_INVALID, "dms %s: the secrets of its devices exceed %d bytes", dms->id, BLOB_MAX);
	if (ctx->dry_run)
		return 0;
	return engine_blob_put(ctx, how->engine, blob_of(ctx->arena, dms), buf_bytes(&text), version, e);
}

char *psk_mark(struct arena *a, struct bytes key, const struct dms *dms, const char *device, const char *secret)
{
	char *text = arena_printf(a, "%s:%s:%s", dms->id, device, secret);
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (!HMAC(EVP_sha256(), key.p, (int)key.n, (const unsigned char *)text, strlen(text), mac, &n) || n < MARK)
		out_of_memory();
	return hex_encode(a, (struct bytes){ mac, MARK });
}
