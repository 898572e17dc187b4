#pragma once
#include "rec/schema.h"

/* The kinds of ledger entry, as they are stored, and the folded certificate that commands show. */
enum cert_status { CERT_ACTIVE, CERT_EXPIRED, CERT_REVOKED, CERT_HELD };
extern const char *const cert_status_names[];
/* RFC 5280 5.3.1; names as they are printed; index = code, 7 unused. */
extern const char *const revocation_reason_names[];
/* snake_case, camelCase, PascalCase, digits refused; -1 if unknown */
int revocation_reason_parse(const char *, int *ret_code);

/* An issued entry: a PEM file whose head is this record as YAML, one `key: value` a line. */
struct certrec {
	char *serial_number;   /* lower-case hex, even length */
	char *ca;              /* id of the issuing authority; "-" when unknown (imported) */
	char *profile;
	char *subject;         /* RFC 4514 text */
	char *common_name;
	struct strv san;       /* "DNS:a", "IP:1.2.3.4", "email:…", "URI:…" */
	char *device, *dms, *bind; /* enrolment: device id, DMS id, PROVISIONED | RE-PROVISIONED | RENEWED */
	char *type;            /* MANAGED (key in our engines), IMPORTED, ISSUED */
	bool is_ca;
	char *ca_id;           /* the authority that this certificate belongs to, when is_ca */
	int64_t not_before, not_after;
	int64_t issued_at;
	char *key_id;          /* SHA-256 of SPKI */
	char *key_type;        /* "ecdsa:256" */
	char *fingerprint;     /* SHA-256 of the DER */
	char *request_sha256;  /* of the CSR's DER: resumes and retries */
	char *batch;           /* operation that a resumed batch belongs to */
	int64_t partition;     /* CRL partition, -1 none */
	char *metadata;        /* at issue; later changes are entries of their own and folded on display */
	/* folded */
	int status;            /* enum cert_status */
	int revocation_reason; /* code, or -1 */
	int64_t revoked_at;
	char *path;            /* of the entry in the ledger */
};
extern const struct schema certrec_type;

enum revocation_action { REVOKE_REVOKE, REVOKE_HOLD, REVOKE_UNHOLD };
struct revocation {
	char *serial_number;
	char *ca;
	int action;        /* enum revocation_action */
	char *reason;      /* name */
	int64_t time;      /* takes effect */
	int64_t invalidity_date;
	int64_t recorded;  /* when the entry was written */
	int64_t not_after; /* of the certificate, so that CRLs need no look-up */
	char *note;
};
extern const struct schema revocation_type;

struct crlrec {
	char *ca;
	char *scope;          /* "full", "delta", "full/3", "delta/3" */
	char *number;         /* decimal */
	char *base_number;    /* delta */
	int64_t this_update, next_update;
	char *sha256;
	char *ledger_commit;  /* the tip that it was folded from */
	int64_t entries;
	bool stored;          /* the DER is in the ledger (at most 256 KiB) */
	char *path;
};
extern const struct schema crlrec_type;

/* A change of metadata, or a note, on an object whose first entry is immutable. */
struct metachange {
	char *kind;  /* "certificate", "device" */
	char *id;    /* "<ca>/<serial>" or the device */
	char *key;
	char *value; /* JSON; absent = removed */
	int64_t time;
};
extern const struct schema metachange_type;

/* What no other entry says: an attack that was found, a count of refusals. At most one of refusals for each manager,
 * type, reason and hour and listener: nobody who is refused makes the ledger grow. */
struct eventrec {
	char *type;        /* such as "enrollment.failed" */
	char *subject;     /* "dms/factory", "certificate/SERIAL" */
	int64_t time;      /* of refusals: the hour */
	char *dms, *device, *serial_number;
	char *reason;
	int64_t count;     /* how often */
	int64_t first, last;
	char *actor;
	char *path;
};
extern const struct schema eventrec_type;
#define EVENT_BOOTSTRAP_REUSED "bootstrap.reused"
