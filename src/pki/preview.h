#pragma once
#include "pki/plan.h"

/* The certificate that would be issued for a request, without signing it, and where each field of it comes from
 * (P18). */
struct preview_field {
	char *field, *value;
	char *source; /* request, profile, authority, operator, rule; "dropped" for what the request asks in vain */
	char *reason;
};
struct preview {
	char *profile, *ca; /* ca NULL: self-signed, or nobody was chosen */
	char *subject, *issuer;
	struct strv san;
	int64_t not_before, not_after;
	char *key_type;
	bool is_ca;
	struct vec fields, dropped; /* struct preview_field */
	char *warning;
};
extern const struct schema preview_type, preview_field_type;

/* `ca` may be NULL: what depends on the authority is then left out. Everything that issuing would refuse is refused
 * here. */
int preview_make(struct ctx *, const struct authority *ca, const struct profile *, struct bytes csr,
		 const struct wishes *, struct preview *ret, struct err *) NODISCARD;
