/* Issuance profiles as documents: the forms that are accepted, what becomes of them, and each rule between fields. */
#include "tap.h"

#include "base/text.h"
#include "model/profile.h"

static struct arena *a;

static int load(const char *text, struct profile *p, struct err *e)
{
	*e = (struct err){ 0 };
	return rec_load(a, &profile_type, "p.yaml", bytes_of(text), p, e);
}

static const char *emitted(const struct profile *p)
{
	SCOPED_BUF b = buf_init(BUF_TEXT);

	rec_emit(&profile_type, p, &b);
	return arena_strdup(a, buf_str(&b));
}

static void documents(void)
{
	static const char seed[] =
		"{ \"id\": \"iot-device-profile\", \"name\": \"IoT Device Certificate Profile\", \"description\": "
		"\"x\",\"validity\": {\"type\": \"Duration\", \"duration\": \"8760h\"}, \"sign_as_ca\": false, "
		"\"honor_key_usage\": false,\"key_usage\": {\"digital_signature\": true, \"key_encipherment\": true, "
		"\"content_commitment\": false, \"data_encipherment\": false, \"key_agreement\": false, \"cert_sign\": "
		"false, \"crl_sign\": false},\"honor_extended_key_usages\": false, \"extended_key_usages\": "
		"[\"clientAuth\", \"serverAuth\"],\"honor_subject\": true, \"subject\": {\"common_name\": \"\", "
		"\"organization\": \"Acme Corp\", \"country\": \"US\"},\"honor_extensions\": false, "
		"\"crypto_enforcement\": {\"enabled\": true, \"allow_rsa_keys\": true, \"allowed_rsa_key_sizes\": "
		"[2048, 4096], \"allow_ecdsa_keys\": true, \"allowed_ecdsa_key_sizes\": [256, 384]} }";
	static const char original[] =
		"{ \"id\": \"p\", \"validity\": {\"type\": \"duration\", \"duration\": \"1y1d\", \"time\": "
		"\"0001-01-01T00:00:00Z\"},\"key_usage\": [\"DigitalSignature\", \"CRLSign\"], "
		"\"extended_key_usages\": [\"ServerAuth\", \"OCSPSigning\", \"IPSECEndSystem\", "
		"\"MicrosoftServerGatedCrypto\"], \"subject\": {\"organizational_unit\": [\"a\", \"b\"], \"country\": "
		"\"es\"}, \"crypto_enforcement\": {\"enabled\": true, \"allowed_rsa_key_sizes\": []} }";
	struct profile p;
	struct err e;

	ok(load(seed, &p, &e) == 0, "the document of the manual %s", e.msg);
	is_int(p.key_usage, USE_DIGITAL_SIGNATURE | USE_KEY_ENCIPHERMENT, "key usage");
	is_int(p.validity.duration.secs, 31536000, "8760h");
	is_int((int64_t)p.subject.common_name.n, 0, "an empty string says nothing");
	is_int((int64_t)p.crypto_enforcement.allowed_ecdsa_key_sizes.n, 2, "sizes");
	is_int(p.path_length, -1, "no path length");
	is_str(emitted(&p),
	       "id: iot-device-profile\nname: IoT Device Certificate Profile\ndescription: x\nvalidity:\n  type: "
	       "Duration\n  duration: 8760h\nsign_as_ca: false\nkey_usage:\n  digital_signature: true\n  "
	       "key_encipherment: true\nextended_key_usages: [clientAuth, serverAuth]\nhonor_subject: "
	       "true\nsubject:\n  organization: Acme Corp\n  country: US\ncrypto_enforcement:\n  enabled: true\n  "
	       "allow_rsa_keys: true\n  allowed_rsa_key_sizes: [2048, 4096]\n  allow_ecdsa_keys: true\n  "
	       "allowed_ecdsa_key_sizes: [256, 384]\n",
	       "stored form");
	ok(load(original, &p, &e) == 0, "the other spelling %s", e.msg);
	is_int(p.key_usage, USE_DIGITAL_SIGNATURE | USE_CRL_SIGN, "names in a list");
	is_str(p.extended_key_usages.n == 4 ? p.extended_key_usages.v[1] : "", "ocspSigning", "canonical");
	is_str(p.extended_key_usages.n == 4 ? p.extended_key_usages.v[2] : "", "ipsecEndSystem", "canonical");
	is_str(p.extended_key_usages.n == 4 ? p.extended_key_usages.v[3] : "", "msSGC", "canonical");
	is_str(p.validity.duration.text, "1y1d", "as written");
	is_int(p.validity.time, 0, "no time");
	is_int((int64_t)p.subject.organization_unit.n, 2, "organizational_unit");
	is_str(p.subject.country.n ? p.subject.country.v[0] : NULL, "ES", "upper case");
	ok(p.crypto_enforcement.allowed_rsa_key_sizes.set && p.crypto_enforcement.allowed_rsa_key_sizes.n == 0 &&
		   !p.crypto_enforcement.allowed_ecdsa_key_sizes.set,
	   "an empty list is not an absent one");
	ok(strstr(emitted(&p), "allowed_rsa_key_sizes: []") != NULL, "and stays so");
	ok(load("id: p", &p, &e) == 0, "only the id is needed %s", e.msg);
	is_int(p.validity.duration.secs, 31536000, "a year by default");
	ok(load("{id: p, validity: {type: INDEFINITE}}", &p, &e) == 0 && p.validity.type == VALIDITY_INDEFINITE,
	   "indefinite %s", e.msg);
	ok(load("{id: p, validity: {type: time, time: 2040-01-01}}", &p, &e) == 0 &&
	   p.validity.time == INT64_C(2208988800), "time %s",
	   e.msg);
	ok(load("{id: p, key_usage: DigitalSignature, extended_key_usages: server_auth}", &p, &e) == 0 &&
	   p.key_usage == 1, "one name %s",
	   e.msg);
}

static void round_trip(void)
{
	static const char text[] =
		"id: full\nca_id: devices\nvalidity: {duration: 90d}\nsign_as_ca: true\npath_length: 0\nkey_usage: "
		"[cert_sign, crl_sign]\nhonor_subject: true\nsubject: {organization_unit: [b, a], email: "
		"x@example.com}\ncrl_distribution_points: http://a.example/ca.crl\ncrl_validity: "
		"1w\ncrl_update_interval_hours: 6\nsubject_alternative_names: {dns: '${cn}.example.com', other_name: "
		"'1.2.3;UTF8:${device_id}'}\nextensions:\n  authority_info_access: {ocsp_server: "
		"['http://ocsp.example']}\n  certificate_policies: [{oid: 2.5.29.32.0, cps: "
		"'https://cps.example/'}]\n  name_constraints: {permitted: ['DNS:example.com']}\n  ocsp_must_staple: "
		"true\n  custom: [{oid: 1.2.3.4, critical: true, asn1: 'UTF8String:x'}, {oid: 1.2.3.5, der: "
		"'0500'}]\nrenewal_policy: {renewal_window_days: 30, auto_renew_enabled: true, "
		"notification_days_before_expiry: [30, 7]}\nmetadata: {site: {rack: 7}}\n";
	struct profile p, again;
	struct err e;
	const char *once;

	ok(load(text, &p, &e) == 0, "all fields %s", e.msg);
	once = emitted(&p);
	ok(load(once, &again, &e) == 0, "read what was written %s", e.msg);
	is_str(emitted(&again), once, "written again the same");
	ok(rec_equal(&profile_type, &p, &again), "equal");
	is_int(again.path_length, 0, "path length 0 is not none");
}

static void rules(void)
{
	static const struct {
		const char *text, *why;
	} t[] = {
		{ "name: x", "id" },
		{ "id: Bad Id", "id:" },
		{ "{id: p, sign_as_ca: true}", "cert_sign" },
		{ "{id: p, key_usage: cert_sign}", "sign_as_ca" },
		{ "{id: p, path_length: 1}", "path_length" },
		{ "{id: p, sign_as_ca: true, key_usage: cert_sign, path_length: -2}", "path_length" },
		{ "{id: p, key_usage: [encipher_only]}", "key_agreement" },
		{ "{id: p, extended_key_usages: [timeStamping, clientAuth]}", "timeStamping" },
		{ "{id: p, extended_key_usages: [serverAut]}", "did you mean \"serverAuth\"" },
		{ "{id: p, extended_key_usages: [serverAuth, 1.3.6.1.5.5.7.3.1]}", "twice" },
		{ "{id: p, extended_key_usages: [1.2.3.]}", "unknown usage" },
		{ "{id: p, validity: {duration: 1M}}", "duration" },
		{ "{id: p, validity: {duration: 0s}}", "at least one second" },
		{ "{id: p, validity: {type: Time}}", "time: must be given" },
		{ "{id: p, validity: {type: Time, time: 2030-01-01, duration: 1d}}", "only with type Duration" },
		{ "{id: p, validity: {type: Duration, time: 2030-01-01}}", "only with type Time" },
		{ "{id: p, validity: {type: Time, time: '10000-01-01T00:00:00Z'}}", "time" },
		{ "{id: p, validity: {type: Sometimes}}", "Duration" },
		{ "{id: p, subject: {country: USA}}", "two letters" },
		{ "{id: p, allowed_extensions: [x]}", "object identifier" },
		{ "{id: p, allowed_extensions: [2.5.29.19]}", "made by other fields" },
		{ "{id: p, extensions: {custom: [{oid: 1.2.3}]}}", "either der or asn1" },
		{ "{id: p, extensions: {custom: [{oid: 1.2.3, der: 0500, asn1: 'NULL'}]}}", "either der or asn1" },
		{ "{id: p, extensions: {custom: [{oid: 1.2.3, der: zz}]}}", "hexadecimal" },
		{ "{id: p, extensions: {custom: [{oid: 2.5.29.15, der: '0500'}]}}", "made by other fields" },
		{ "{id: p, extensions: {custom: [{oid: 1.2.3, der: '0500'}, {oid: 1.2.3, der: '0500'}]}}", "twice" },
		{ "{id: p, extensions: {name_constraints: {permitted: 'DNS:a'}}}", "sign_as_ca" },
		{ "{id: p, extensions: {ocsp_no_check: true}}", "ocspSigning" },
		{ "{id: p, extensions: {certificate_policies: [{oid: x}]}}", "object identifier" },
		{ "{id: p, crl_distribution_points: [example.com/ca.crl]}", "not a URI" },
		{ "{id: p, subject_alternative_names: {dns: '${host}'}}", "unknown template" },
		{ "{id: p, crypto_enforcement: {allowed_rsa_key_sizes: [1024]}}", "1024" },
		{ "{id: p, crypto_enforcement: {allowed_ecdsa_key_sizes: [512]}}", "512" },
		{ "{id: p, crl_update_interval_hours: -1}", "crl_update_interval_hours" },
		{ "{id: p, ca_id: 'A B'}", "ca_id" },
		{ "{id: p, signasca: true}", "sign_as_ca" },
	};

	for (size_t i = 0; i < COUNT(t); i++) {
		struct profile p;
		struct err e;
		int rc = load(t[i].text, &p, &e);

		ok(rc < 0 && strstr(e.msg, t[i].why) && e.code == ERR_INVALID, "%s: %s", t[i].text, rc < 0 ? e.msg
		   : "accepted");
	}
}

static void usages(void)
{
	is_str(eku_canonical(a, "ServerAuth"), "serverAuth", "any case");
	is_str(eku_canonical(a, "server_auth"), "serverAuth", "snake case");
	is_str(eku_canonical(a, "1.3.6.1.5.5.7.3.1"), "serverAuth", "OID");
	is_str(eku_canonical(a, "NetscapeServerGatedCrypto"), "nsSGC", "long name");
	is_str(eku_canonical(a, "1.2.3.4"), "1.2.3.4", "unknown OID");
	is_str(eku_canonical(a, "foo"), NULL, "unknown name");
	is_str(eku_oid("smartcardLogon"), "1.3.6.1.4.1.311.20.2.2", "OID of a name");
	is_str(eku_oid("1.2.3.4"), "1.2.3.4", "OID of an OID");
	ok(oid_valid("2.999.1") && oid_valid("0.39") && oid_valid("1.2.840.113549"), "good OIDs");
	ok(!oid_valid("1") && !oid_valid("3.1") && !oid_valid("1.40") && !oid_valid("1..2") && !oid_valid("1.2.") &&
	   !oid_valid("1.02") &&
		   !oid_valid("") && !oid_valid(NULL) && !oid_valid("1.2.x") && !oid_valid("12.1"),
	   "bad OIDs");
}

static void documentation(void)
{
	SCOPED_BUF b = buf_init(BUF_TEXT);

	schema_json(&profile_type, &b);
	ok(strstr(buf_str(&b), "allow_ed25519_keys") != NULL, "JSON Schema");
	buf_clear(&b);
	schema_mdoc(&profile_type, &b);
	ok(strstr(buf_str(&b), "decipher_only") != NULL || b.n > 1000, "manual");
}

int main(void)
{
	a = arena_new();
	documents();
	round_trip();
	rules();
	usages();
	documentation();
	arena_free(a);
	return done();
}
