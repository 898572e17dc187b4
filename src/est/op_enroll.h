#pragma once
#include "est/service.h"

/* What enrolment and server-side key generation share. */
struct enroll_work {
	struct csr csr;
	char *device;
	struct identity who;
	EVP_PKEY *pub;          /* owned */
	struct request request;
	struct enrolled result;
	bool keygen;            /* `pub` has a private half, which was made here */
	bool kept;              /* in an engine: this copy of it */
	struct key copy;
};
/* op_keygen.c: a copy into the engine that the manager names, if it does; and out of it again. */
int keygen_keep(struct est_call *, struct enroll_work *, struct refusal *) NODISCARD;
void keygen_forget(struct est_call *, struct enroll_work *);
/* Reads the request and establishes who asks. */
int enroll_begin(struct est_call *, enum enroll_kind, struct enroll_work *, struct refusal *) NODISCARD;
/* Claims, judges, signs, commits; `request` must be filled in. */
int enroll_finish(struct est_call *, enum enroll_kind, struct enroll_work *, struct refusal *) NODISCARD;
