/* Settings of the listeners. Guarantees: no document can choose a version before TLS 1.2, nor a suite without forward
 * secrecy or without authenticated encryption; a mistake is told with the nearest good name when the file is read, not
 * when a device calls. */
#include "model/http.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

const char *const http_min_version_names[] = { "TLS12", "TLS13", NULL };

static const struct cipher_suite suites[] = {
	{ "TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256", true },
	{ "TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384", true },
	{ "TLS_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256", true },
	{ "TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_SHA256", true },
	{ "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256", false },
	{ "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384", false },
	{ "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305", false },
	{ "TLS_ECDHE_ECDSA_WITH_AES_128_CCM", "ECDHE-ECDSA-AES128-CCM", false },
	{ "TLS_ECDHE_ECDSA_WITH_AES_256_CCM", "ECDHE-ECDSA-AES256-CCM", false },
	{ "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256", false },
	{ "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384", false },
	{ "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305", false },
};

const struct cipher_suite *cipher_suite_find(const char *name)
{
	for (size_t i = 0; i < COUNT(suites); i++)
		if (strcasecmp(suites[i].iana, name) == 0 || strcasecmp(suites[i].openssl, name) == 0)
			return &suites[i];
	return NULL;
}

/* Does it look like a suite that there is, and that is left out for a reason? */
static const char *why_not(const char *name)
{
	static const struct {
		const char *part, *why;
	} rows[] = {
		{ "NULL", "does not encrypt" }, { "EXPORT", "can be broken by anybody" },
		{ "anon", "does not prove who the server is" },
		{ "RC4", "can be broken" }, { "DES", "can be broken" }, { "MD5", "can be broken" },
		{ "CBC", "has no authenticated encryption" },
		{ "CCM_8", "has tags of 64 bits only" }, { "CCM8", "has tags of 64 bits only" },
		{ "TLS_RSA_", "has no forward secrecy" },
		{ "TLS_ECDH_", "has no forward secrecy" }, { "TLS_DH_", "has no forward secrecy" },
		{ "TLS_PSK_", "has no forward secrecy" },
		{ "-SHA", "has no authenticated encryption" },
		{ "DHE_RSA", "has Diffie-Hellman over a finite field, which RFC 9325 advises against" },
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		if (strcasestr(name, rows[i].part))
			return rows[i].why;
	return NULL;
}

static int bad_suite(struct arena *a, size_t i, const char *name, struct err *e)
{
	const char *names[COUNT(suites) + 1] = { NULL }, *why = why_not(name), *near;

	for (size_t k = 0; k < COUNT(suites); k++)
		names[k] = suites[k].iana;
	near = text_nearest(name, names);
	return err_set(e, ERR_INVALID, "tls.cipher_suites.%zu: \"%s\" %s%s%s%s", i, text_escape(a, bytes_of(name)),
		       why ? why : "is not a cipher suite that is known here", near ? "; did you mean \"" : "",
		       near ? near : "", near ? "\"?" : "");
}

static int check(struct arena *a, void *rec, struct err *e)
{
	struct http_settings *h = rec;

	if (!h->tls.cert_file != !h->tls.key_file)
		return err_set(e, ERR_INVALID, "tls: cert_file and key_file go together");
	if (h->client_auth.required && !h->client_auth.enabled)
		return err_set(e, ERR_INVALID, "client_auth.required: needs enabled");
	for (size_t i = 0; i < h->tls.cipher_suites.n; i++)
		if (!cipher_suite_find(h->tls.cipher_suites.v[i]))
			return bad_suite(a, i, h->tls.cipher_suites.v[i], e);
	return 0;
}

#define PART(st, nm, d) { .name = nm, .doc = d, .size = sizeof(struct st), .fields = st##_fields }

static const struct field http_tls_fields[] = {
	STR(http_tls, cert_file,
	    "The listeners' TLS certificate and what leads to its root, PEM; a path is relative to the repository. "
	    "Absent: est-serve has one issued, va-serve speaks plain HTTP."),
	STR(http_tls, key_file, "Its key, PEM without passphrase; not a file that is committed."),
	ENUM(http_tls, min_version, http_min_version_names,
	     "The oldest version of TLS: TLS12 or TLS13. There is no way to an older one.", .dflt = "TLS12"),
	STRV(http_tls, cipher_suites,
	     "Cipher suites by their IANA names, such as TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384. Those of TLS 1.2 and "
	     "of TLS 1.3 are chosen apart: a version of which the list names none keeps its own. Only suites with "
	     "forward secrecy and authenticated encryption are accepted."),
	END
};
static const struct schema http_tls_type = PART(http_tls, "tls", "TLS of the listeners.");

static const struct field http_client_auth_fields[] = {
	BOOL(http_client_auth, enabled,
	     "Ask clients for a certificate: est-serve does, va-serve only where ca_file is given. Without it, "
	     "managers that want one are not served.",
	     .dflt = "true"),
	STR(http_client_auth, ca_file,
	    "PEM file of authorities, relative to the repository. A certificate that a client shows must then lead to "
	    "one of them or, at est-serve, to one that a served manager accepts; any other ends the handshake. Nobody "
	    "enrols by it: a manager's own rules decide as they do without it."),
	BOOL(http_client_auth, required,
	     "End the handshake with clients that show no certificate, or one that leads to none of these authorities. "
	     "va-serve needs ca_file for it.",
	     .dflt = "false"),
	END
};
static const struct schema http_client_auth_type = PART(http_client_auth, "client_auth", "TLS client certificates.");

static const struct field http_settings_fields[] = {
	INT(http_settings, port,
	    "The port of 127.0.0.1 where they listen; 0 is 8443 for est-serve and 8080 for va-serve.", .dflt = "0",
	    .max = 65535),
	OBJ(http_settings, tls, &http_tls_type, "TLS of the listeners."),
	OBJ(http_settings, client_auth, &http_client_auth_type, "TLS client certificates."),
	END
};
const struct schema http_type = {
	.name = "http", .doc = "The listeners est-serve and va-serve, where their options do not say.",
	.size = sizeof(struct http_settings),
	.fields = http_settings_fields, .check = check
};
