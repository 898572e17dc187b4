/* The shipped profiles: each is canonical, named as its file, described, and says what its purpose asks for. */
#include <stdlib.h>

#include "base/fs.h"
#include "model/profile.h"

#include "tap.h"

struct want {
	const char *id;
	int64_t hours;
	bool ca;
	unsigned usage;
	const char *purposes; /* joined */
	const char *rsa, *ec;
};

static const struct want wants[] = {
	{ "bootstrap", 2160, false, USE_DIGITAL_SIGNATURE, "clientAuth", "2048, 4096", "256, 384" },
	{ "code-signing", 8760, false, USE_DIGITAL_SIGNATURE | USE_CONTENT_COMMITMENT, "codeSigning", "3072, 4096",
	  "256, 384" },
	{ "iot-device", 8760, false, USE_DIGITAL_SIGNATURE | USE_KEY_ENCIPHERMENT, "clientAuth, serverAuth",
	  "2048, 4096", "256" },
	{ "ocsp-responder", 720, false, USE_DIGITAL_SIGNATURE, "ocspSigning", "2048, 3072, 4096", "256, 384" },
	{ "root-ca", 87600, true, USE_CERT_SIGN | USE_CRL_SIGN, NULL, "4096", "384, 521" },
	{ "subordinate-ca", 43800, true, USE_DIGITAL_SIGNATURE | USE_CERT_SIGN | USE_CRL_SIGN, NULL, "4096", NULL },
	{ "timestamping", 8760, false, USE_DIGITAL_SIGNATURE, "timeStamping", "3072, 4096", "256, 384" },
	{ "tls-client", 8760, false, USE_DIGITAL_SIGNATURE, "clientAuth", "2048, 3072, 4096", "256, 384" },
	{ "tls-server", 2160, false, USE_DIGITAL_SIGNATURE | USE_KEY_ENCIPHERMENT, "serverAuth", "2048, 4096",
	  "256, 384" },
};

static void is_field(struct arena *a, const struct profile *p, const char *path, const char *want)
{
	struct err e = { 0 };
	char *got = NULL;

	ok(rec_get(a, &profile_type, p, path, &got, NULL, &e) == 0, "%s: %s", p->id, path);
	is_str(got, want, path);
}

static void check(struct arena *a, const struct want *w, const char *dir)
{
	struct err e = { 0 };
	struct bytes text = { 0 };
	struct profile p;
	const char *path = arena_printf(a, "%s/profiles/%s.yaml", dir, w->id);
	SCOPED_BUF out = buf_init(BUF_TEXT);

	if (!ok(fs_read(a, path, FS_LIMIT_DOC, &text, &e) == 0 && rec_load(a, &profile_type, path, text, &p, &e) == 0,
		"%s is read: %s", path, e.msg))
		return;
	rec_emit(&profile_type, &p, &out);
	is_str((const char *)text.p, buf_str(&out), "it is canonical");
	is_str(p.id, w->id, "its id is the file's name");
	ok(p.name && p.description, "it has a name and a description");
	is_int(p.validity.duration.secs, w->hours * 3600, "validity");
	ok(p.sign_as_ca == w->ca && p.honor_subject && p.crypto_enforcement.enabled, "switches");
	is_int(p.key_usage, w->usage, "key usage");
	is_field(a, &p, "extended_key_usages", w->purposes);
	is_field(a, &p, "crypto_enforcement.allowed_rsa_key_sizes", w->rsa);
	is_field(a, &p, "crypto_enforcement.allowed_ecdsa_key_sizes", w->ec);
	ok(p.crypto_enforcement.allow_ecdsa_keys == (w->ec != NULL), "elliptic curves are allowed where sizes are");
}

int main(void)
{
	SCOPED_ARENA *a = arena_new();
	const char *dir = getenv("srcdir");
	struct strv files = { 0 };
	struct err e = { 0 };

	dir = dir ? dir : ".";
	for (size_t i = 0; i < COUNT(wants); i++)
		check(a, &wants[i], dir);
	ok(fs_list(a, arena_printf(a, "%s/profiles", dir), 100, &files, &e) == 0, "the folder is read");
	is_int((int64_t)files.n, COUNT(wants), "no profile is untested");
	return done();
}
