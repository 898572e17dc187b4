/* The ledger's records as field tables: what an entry of each kind holds. The checks are for what is written and for
 * what is read alike, so a hostile entry gets no further than its own line in `repo verify`. Nothing here folds; state/
 * does. */
#include "model/ledger_records.h"

#include <string.h>

#include "base/text.h"

const char *const cert_status_names[] = { "ACTIVE", "EXPIRED", "REVOKED", "HELD", NULL };
const char *const revocation_reason_names[] = {
	"unspecified", "key_compromise", "ca_compromise", "affiliation_changed", "superseded", "cessation_of_operation",
	"certificate_hold", "", "remove_from_crl", "privilege_withdrawn", "aa_compromise", NULL
};
static const char *const action_names[] = { "REVOKE", "HOLD", "UNHOLD", NULL };

int revocation_reason_parse(const char *text, int *ret_code)
{
	for (int i = 0; revocation_reason_names[i]; i++)
		if (*revocation_reason_names[i] && text_same_name(text, revocation_reason_names[i])) {
			*ret_code = i;
			return 0;
		}
	return -1;
}

/* Pairs of lower-case hex digits, of min to max octets. */
static bool is_hex(const char *s, size_t min, size_t max)
{
	size_t n = strlen(s);

	return n % 2 == 0 && n >= 2 * min && n <= 2 * max && strspn(s, "0123456789abcdef") == n;
}

static int check_serial(const char *s, struct err *e)
{
	/* RFC 5280 4.1.2.2: at most 20 octets. */
	if (!s || !is_hex(s, 1, 20))
		return err_set(e, ERR_INVALID, "serial_number: must be 1 to 20 octets in lower-case hex");
	return 0;
}

static int check_ca(const char *s, struct err *e)
{
	if (!s || (strcmp(s, "-") != 0 && !id_valid(s)))
		return err_set(e, ERR_INVALID, "ca: must be the id of an authority, or \"-\" when it is not known");
	return 0;
}

static int check_digest(const char *name, const char *s, struct err *e)
{
	if (s && !is_hex(s, 32, 32))
		return err_set(e, ERR_INVALID, "%s: must be a SHA-256 in lower-case hex", name);
	return 0;
}

static const struct field certrec_fields[] = {
	STR(certrec, serial_number, "Serial number in lower-case hex.", .flags = F_REQ | F_KEY | F_COL),
	ENUM(certrec, status, cert_status_names, "ACTIVE, EXPIRED, REVOKED or HELD, as of now.",
	     .flags = F_OUT | F_COL),
	STR(certrec, subject, "Subject as text (RFC 4514).", .flags = F_COL),
	STR(certrec, ca, "The issuing authority; - when it is not known (imported).", .flags = F_REQ | F_COL),
	STR(certrec, profile, "Issuance profile.", .flags = F_COL),
	TIME(certrec, not_before, "Start of validity."),
	TIME(certrec, not_after, "End of validity.", .flags = F_COL),
	STR(certrec, common_name, "Common name of the subject."),
	STRV(certrec, san, "Alternative names: DNS:a, IP:192.0.2.1, email:a@example.com, URI:https://example.com."),
	STR(certrec, device, "Device that the certificate was issued to."),
	STR(certrec, dms, "Device manufacturing system that enrolled it."),
	STR(certrec, bind,
	    "How it was bound to the device: PROVISIONED, RE-PROVISIONED or RENEWED; BOOTSTRAP for one to enrol with."),
	STR(certrec, type, "MANAGED (its key is in our engines), IMPORTED or ISSUED."),
	BOOL(certrec, is_ca, "Certificate of an authority.", .dflt = "false"),
	STR(certrec, ca_id, "The authority that the certificate belongs to."),
	TIME(certrec, issued_at, "When it was issued or imported."),
	STR(certrec, key_id, "SHA-256 of the public key (SubjectPublicKeyInfo), hex."),
	STR(certrec, key_type, "Algorithm and size of the key, such as ecdsa:256."),
	STR(certrec, fingerprint, "SHA-256 of the certificate, hex.", .flags = F_REQ),
	STR(certrec, request_sha256, "SHA-256 of the request that it answers, hex."),
	STR(certrec, batch, "Operation of a batch that may be resumed."),
	INT(certrec, partition, "CRL partition that lists it when it is revoked; -1 is none.", .dflt = "-1", .min = -1,
	    .max = 4095),
	ANY(certrec, metadata, "Free key-value data."),
	ENUM(certrec, revocation_reason, revocation_reason_names, "Why it was revoked.", .flags = F_OUT),
	TIME(certrec, revoked_at, "Since when it counts as revoked; while that lies ahead it is not.", .flags = F_OUT),
	STR(certrec, path, "The entry in the ledger.", .flags = F_OUT),
	END
};

static int certrec_check(struct arena *a, void *rec, struct err *e)
{
	struct certrec *r = rec;

	(void)a;
	if (check_serial(r->serial_number, e) != 0 || check_ca(r->ca, e) != 0 ||
	    check_digest("key_id", r->key_id, e) != 0 ||
	    check_digest("fingerprint", r->fingerprint, e) != 0 ||
	    check_digest("request_sha256", r->request_sha256, e) != 0)
		return -1;
	r->status = CERT_ACTIVE;
	r->revocation_reason = -1;
	return 0;
}

const struct schema certrec_type = {
	.name = "certificate", .plural = "certificates", .doc = "A certificate of the ledger",
	.size = sizeof(struct certrec),
	.fields = certrec_fields, .check = certrec_check
};

static const struct field revocation_fields[] = {
	STR(revocation, serial_number, "Serial number of the certificate.", .flags = F_REQ | F_KEY),
	STR(revocation, ca, "The authority that issued it.", .flags = F_REQ),
	ENUM(revocation, action, action_names, "REVOKE, HOLD or UNHOLD.", .flags = F_REQ | F_SHOW0),
	STR(revocation, reason, "Reason of RFC 5280 5.3.1, such as key_compromise."),
	TIME(revocation, time, "Since when the certificate counts as revoked.", .flags = F_REQ),
	TIME(revocation, invalidity_date, "When the key is thought to have been compromised (RFC 5280 5.3.2)."),
	TIME(revocation, recorded, "When the entry was written.", .flags = F_REQ),
	TIME(revocation, not_after, "End of the certificate's validity."),
	STR(revocation, note, "Free text."),
	END
};

static int revocation_check(struct arena *a, void *rec, struct err *e)
{
	const struct revocation *r = rec;
	int code;

	(void)a;
	if (check_serial(r->serial_number, e) != 0 || check_ca(r->ca, e) != 0)
		return -1;
	if (r->reason && revocation_reason_parse(r->reason, &code) != 0)
		return err_set(e, ERR_INVALID, "reason: \"%s\" is not a reason of RFC 5280 5.3.1", r->reason);
	if (r->reason && code == 8)
		return err_set(e, ERR_INVALID,
			       "reason: remove_from_crl is for delta CRLs only (RFC 5280 5.3.1); use UNHOLD");
	return 0;
}

const struct schema revocation_type = {
	.name = "revocation", .plural = "revocations", .doc = "A revocation, a hold or its release",
	.size = sizeof(struct revocation),
	.fields = revocation_fields, .check = revocation_check
};

static const struct field crlrec_fields[] = {
	STR(crlrec, ca, "The authority whose certificates it lists.", .flags = F_REQ | F_COL),
	STR(crlrec, scope, "full or delta, with /N for partition N.", .flags = F_REQ | F_COL),
	STR(crlrec, number, "CRL number, decimal.", .flags = F_REQ | F_KEY | F_COL),
	STR(crlrec, base_number, "Number of the full CRL that a delta builds on."),
	TIME(crlrec, this_update, "When it was made.", .flags = F_COL),
	TIME(crlrec, next_update, "When the next one is due at the latest.", .flags = F_COL),
	STR(crlrec, sha256, "SHA-256 of the CRL, hex."),
	STR(crlrec, ledger_commit, "The ledger commit that it was folded from."),
	INT(crlrec, entries, "How many certificates it lists.", .flags = F_COL, .dflt = "0", .max = INT64_C(1) << 40),
	BOOL(crlrec, stored, "The CRL itself is in the ledger.", .dflt = "false"),
	STR(crlrec, path, "The entry in the ledger.", .flags = F_OUT),
	END
};

/* RFC 5280 5.2.3: at most 20 octets, that is 49 digits. One number has one text. */
static bool is_number(const char *s)
{
	size_t n = strlen(s);

	return n >= 1 && n <= 49 && strspn(s, "0123456789") == n && (s[0] != '0' || n == 1);
}

static bool is_scope(const char *s)
{
	size_t n = text_has_prefix(s, "full") ? 4 : text_has_prefix(s, "delta") ? 5 : 0;

	return n > 0 && (s[n] == '\0' || (s[n] == '/' && is_number(s + n + 1) && strlen(s + n + 1) <= 4));
}

static int crlrec_check(struct arena *a, void *rec, struct err *e)
{
	const struct crlrec *r = rec;

	(void)a;
	if (check_ca(r->ca, e) != 0 || check_digest("sha256", r->sha256, e) != 0)
		return -1;
	if (!r->scope || !is_scope(r->scope))
		return err_set(e, ERR_INVALID, "scope: must be full or delta, with /N for a partition");
	if (!r->number || !is_number(r->number) || (r->base_number && !is_number(r->base_number)))
		return err_set(e, ERR_INVALID, "number: must be decimal, of at most 49 digits");
	return 0;
}

const struct schema crlrec_type = {
	.name = "crl", .plural = "crls", .doc = "A CRL that was made", .size = sizeof(struct crlrec),
	.fields = crlrec_fields, .check = crlrec_check
};

static const struct field metachange_fields[] = {
	STR(metachange, kind, "certificate or device.", .flags = F_REQ),
	STR(metachange, id, "AUTHORITY/SERIAL of a certificate, or the device.", .flags = F_REQ | F_KEY),
	STR(metachange, key, "Key of the metadata.", .flags = F_REQ),
	ANY(metachange, value, "The new value; absent removes the key."),
	TIME(metachange, time, "When it was changed.", .flags = F_REQ),
	END
};

static int metachange_check(struct arena *a, void *rec, struct err *e)
{
	const struct metachange *m = rec;
	const char *slash = m->id ? strchr(m->id, '/') : NULL;

	if (m->kind && strcmp(m->kind, "certificate") == 0) {
		if (!slash)
			return err_set(e, ERR_INVALID, "id: must be AUTHORITY/SERIAL");
		return check_ca(arena_strndup(a, m->id, (size_t)(slash - m->id)), e) != 0
		       ? -1 : check_serial(slash + 1, e);
	}
	return 0;
}

const struct schema metachange_type = {
	.name = "change", .plural = "changes", .doc = "A change of metadata", .size = sizeof(struct metachange),
	.fields = metachange_fields, .check = metachange_check
};

static const struct field eventrec_fields[] = {
	STR(eventrec, type, "What happened, such as enrollment.failed.", .flags = F_REQ | F_KEY | F_COL),
	STR(eventrec, subject, "What it happened to: dms/ID, certificate/SERIAL.", .flags = F_REQ | F_COL),
	TIME(eventrec, time, "When; of refusals, the beginning of the hour.", .flags = F_REQ | F_COL),
	STR(eventrec, dms, "Device manager."),
	STR(eventrec, device, "Device."),
	STR(eventrec, serial_number, "Certificate."),
	STR(eventrec, reason, "Why: one of a closed list.", .flags = F_COL),
	INT(eventrec, count, "How often.", .flags = F_COL, .dflt = "1", .min = 1, .max = INT64_C(1) << 50),
	TIME(eventrec, first, "The first of them."),
	TIME(eventrec, last, "The last of them."),
	STR(eventrec, actor, "Who."),
	STR(eventrec, path, "The entry in the ledger.", .flags = F_OUT),
	END
};

static int eventrec_check(struct arena *a, void *rec, struct err *e)
{
	const struct eventrec *r = rec;

	(void)a;
	if (!r->type || !*r->type || strspn(r->type, "abcdefghijklmnopqrstuvwxyz.-_") != strlen(r->type))
		return err_set(e, ERR_INVALID, "type: must be words of lower-case letters, with dots between them");
	if (!r->subject || !*r->subject)
		return err_set(e, ERR_INVALID, "subject: is required");
	return r->serial_number ? check_serial(r->serial_number, e) : 0;
}

const struct schema eventrec_type = {
	.name = "event", .plural = "events", .doc = "Something that no other entry says",
	.size = sizeof(struct eventrec),
	.fields = eventrec_fields, .check = eventrec_check
};
