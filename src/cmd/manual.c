/* What manuals say about the files of a repository, page by page, around the tables of their fields. Only texts: the
 * records are those of model/. */
#include "cmd/manual.h"

#include "engine/engine.h"
#include "model/ca.h"
#include "model/config.h"
#include "model/device.h"
#include "model/dms.h"
#include "model/engine.h"
#include "model/key.h"
#include "model/ledger_records.h"
#include "model/profile.h"

static const struct schema *const config_types[] = { &config_type, NULL };
static const struct schema *const profile_types[] = { &profile_type, NULL };
static const struct schema *const ca_types[] = { &ca_type, &ca_create_type, NULL };
static const struct schema *const key_types[] = { &key_type, NULL };
static const struct schema *const engine_types[] = { &engine_type, NULL };
static const struct schema *const dms_types[] = { &dms_type, NULL };
static const struct schema *const ledger_types[] = { &certrec_type, &revocation_type, &crlrec_type, &metachange_type,
						     &device_entry_type, &eventrec_type, NULL };

/* Settings of the kinds of engine. */
static const struct schema *engine_config(size_t i)
{
	return engine_kinds[i] ? engine_kinds[i]->config : NULL;
}

const struct record_page manual_records[] = {
	{
		.name = "lamassu.yaml",
		.brief = "settings of a lamassu repository",
		.doc = "The file stands at the top of the work tree and makes it a repository of lamassu. Like every "
		       "file of the policy branch it is YAML (or JSON, which is YAML too) that people read, edit and "
		       "commit; what is committed counts, not what the work tree shows. Only `format` is required.\n\n"
		       "A duration is a number with a unit (ns us ms s m h d w y), or several: 90d, 1y6w, 1.5h. "
		       "There is no unit for months. A time is RFC 3339: 2027-01-31T00:00:00Z.\n\n"
		       "An unknown field, a field given twice, an anchor, a tag or a second document is refused, "
		       "with file, line and column.",
		.example = "format: 1\nname: Acme PKI\nva_domains: [va.example.org]\ncrl:\n  validity: 2w\nhttp:\n  "
			   "port: 8443\n  tls:\n    min_version: TLS13\n"
			   "est:\n  default_dms: factory\nidentity_extractors:\n  jwt:\n    issuer: "
			   "https://idp.example.org\n    audience: lamassu\n"
			   "    public_key_url: https://idp.example.org/keys",
		.types = config_types,
	},
	{
		.name = "profile",
		.brief = "issuance profile of lamassu",
		.doc = "profiles/ID.yaml shapes the certificates that are issued with it: how long they last, what "
		       "they are for, what they take from the request and which keys are accepted. A change affects "
		       "new certificates only.",
		.example = "id: sensors\nvalidity:\n  type: Duration\n  duration: 1y\nkey_usage:\n  "
			   "digital_signature: true\n"
			   "extended_key_usages: clientAuth\nhonor_subject: true\nsubject:\n  organization: Acme Corp\n"
			   "crypto_enforcement:\n  enabled: true\n  allow_ecdsa_keys: true\n  allowed_ecdsa_key_sizes: "
			   "[256, 384]",
		.types = profile_types,
	},
	{
		.name = "ca",
		.brief = "certificate authority of lamassu",
		.doc = "cas/ID/ca.yaml is the record of an authority; beside it, ca.pem is its newest certificate. "
		       "Status, level and dates are not stored: they follow from certificate, ledger and clock. The "
		       "second table is the document that `lamassu ca create -f` takes.",
		.example = "subject:\n  common_name: Acme Devices CA\n  organization: Acme Corp\nkey_metadata:\n  "
			   "type: ECDSA\n"
			   "  bits: 256\nparent_id: root\nca_expiration:\n  type: Duration\n  duration: 5y\n"
			   "ca_issuance_profile_id: iot-device",
		.types = ca_types,
	},
	{
		.name = "key",
		.brief = "key record of lamassu",
		.doc = "keys/ID.yaml holds the public part of a key, what it is called, where its private part lives "
		       "and what it is used for. The id is the SHA-256 of the SubjectPublicKeyInfo. The private part "
		       "is never here.",
		.types = key_types,
	},
	{
		.name = "engine",
		.brief = "key engine of lamassu",
		.doc = "engines/ID.yaml describes a place where private keys live. Secrets are given by reference "
		       "only: ${NAME} or env:NAME from the environment, file:PATH, fd:N, or command:ARGV. A program is "
		       "run, without a shell, only where git config lamassu.allowCommands true or "
		       "LAMASSU_ALLOW_COMMANDS=1 allows it: whoever writes the document must not choose what runs on "
		       "the next operator's machine.\n\n"
		       "The engine of type SOFTWARE keeps each key as PKCS#8, encrypted unless asked otherwise, in a "
		       "folder that git does not see.",
		.example = "id: software\ntype: SOFTWARE",
		.types = engine_types,
		.more = engine_config,
	},
	{
		.name = "dms",
		.brief = "device manager of lamassu",
		.doc = "dms/ID.yaml is a policy of enrolment: which authority issues, which credential a device shows, "
		       "when it may renew and what cacerts answers. Secrets of hooks are given by reference only: "
		       "${NAME}, env:NAME, file:PATH, fd:N or command:ARGV.\n\n"
		       "Deltas count back from the end of the device's certificate.",
		.example = "id: factory\nsettings:\n  enrollment_settings:\n    enrollment_ca: devices\n    "
			   "est_rfc7030_settings:\n"
			   "      authentication:\n        type: client_certificate\n        client_certificate:\n"
			   "          validation_cas: [bootstrap]\n  reenrollment_settings:\n    "
			   "reenrollment_delta: 100d\n"
			   "  issuance_profile_id: iot-device",
		.types = dms_types,
	},
	{
		.name = "ledger",
		.brief = "records of the ledger of lamassu",
		.doc = "The ledger is a branch that is never checked out. Each file in it is one entry, written once "
		       "and never changed: issued/ a certificate in PEM, after a head that is the first record below; "
		       "revoked/ a revocation, a hold or its release; crls/ a CRL that was made, with the CRL itself "
		       "in PEM up to 256 KiB; meta/ a change of metadata; devices/ what happened to a device. State is "
		       "what the entries add up to. Fields marked as computed are shown but not stored.",
		.example = "git show ledger:issued/00/00/00/5f3a09c2b7d14e60.pem | openssl x509 -noout -text",
		.types = ledger_types,
	},
	{ .name = NULL },
};
