#pragma once
#include "model/dms.h"
#include "pki/issue.h"

/* Enrolment through a device manager: whether a request is granted, and the transaction that grants it. No network and
 * no waiting: who the client is has been established before (est/auth.h), and the caller holds a claim on the device,
 * so that what is read here stays true until the commit. */

struct refusal { /* for the client, the access log and the summary */
	int status;         /* HTTP; 202: not decided yet, which is no refusal */
	const char *reason; /* one of refusal_reasons[] */
	char text[512];     /* one line; what the client sent is escaped */
	int64_t retry_after; /* seconds; 0: as the status has it */
};
extern const char *const refusal_reasons[]; /* the closed list, NULL-terminated */
int refuse(struct refusal *, int status, const char *reason, const char *fmt, ...) PRINTF(4, 5); /* returns -1 */
/* The error of a library function, with the status that its code stands for; faults of ours and of engines are 503 or
 * 500. */
int refuse_err(struct refusal *, const struct err *);

struct identity { /* who asks, as authentication has established it */
	const char *via;          /* "certificate", "webhook", "certificate_and_webhook", "jwt", "psk", "no_auth" */
	const struct cert *cert;  /* of the client, judged; NULL: none */
	bool recorded;            /* rec is its record in the ledger */
	struct certrec rec;
	/* the enrolment authority or one of additional_validation_cas issued it: it may renew itself */
	bool enrolled;
	bool single_use;          /* the credential serves once (E14) */
	bool spent;               /* it has served: good for nothing but the answer that was lost on its way */
	const char *credential;   /* what is used up: "cert/<fingerprint>", "psk/<id>"; NULL: nothing */
	/* of a secret that is kept elsewhere: tells it from the next one of that device; NULL: none */
	const char *mark;
	const char *token;        /* sub and jti of a bearer token, JSON, for the record; NULL: none */
	const char *device;       /* the only device that the credential may speak for; NULL: any */
};

enum enroll_kind { ENROLL_NEW, ENROLL_RENEW };

struct enrolment {
	const struct dms *dms;
	struct authority *ca;     /* the enrolment authority, its key open */
	const struct profile *profile;
	enum enroll_kind kind;
	const struct csr *csr;
	const struct request *request; /* of the CSR; with a key of ours for server-side key generation */
	const struct identity *who;
	bool keygen;              /* the key is made here: an earlier certificate for the same request is of no use */
};

struct enrolled {
	char *device;
	struct bytes der;
	struct certrec rec;
	bool existing;            /* the answer to an earlier request, sent again: nothing is to be committed */
	const char *warning;
};

/* The device that a CSR is for, by the manager's rule. */
int enroll_device(struct arena *, const struct dms *, const struct csr *, char **ret, struct refusal *) NODISCARD;
/* What must be claimed before the rest: the device, the request, a credential that serves once. At most 4. */
size_t enroll_claims(struct arena *, const struct enrolment *, const char *device, const char **ret_keys);
/* May it be? The decision alone, for `dms check` too; fills what is known without signing. */
int enroll_judge(struct ctx *, const struct enrolment *, const char *device, struct enrolled *ret,
		 struct refusal *) NODISCARD;
/* What would be issued, once enroll_judge has said yes; refuses a renewal with other names. */
int enroll_plan(struct ctx *, const struct enrolment *, const char *device, struct plan *ret,
		struct refusal *) NODISCARD;
/* Judges, signs, and puts everything into the transaction: certificate, device, what is revoked. The caller commits. */
int enroll_issue(struct ctx *, const struct enrolment *, const char *device, struct enrolled *ret,
		 struct refusal *) NODISCARD;
/* A renewed certificate was used for the first time: what it replaced is revoked where the manager says so
 * (revoke_after: first_use). Sets *ret_changed when there is something to commit. */
int enroll_first_use(struct ctx *, const struct dms *, const struct identity *, bool *ret_changed,
		     struct err *) NODISCARD;
