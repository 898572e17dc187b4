#pragma once
#include "pki/authority.h"

/* Warnings against the best practices (C16, P16, S20): never refusals. */
struct advice {
	char *subject; /* "ca root", "profile iot-device" */
	char *rule;    /* short name: "root-in-software" */
	char *text;
};
extern const struct schema advice_type;
int advise_profile(struct ctx *, const struct profile *, struct advice **ret, size_t *ret_n, struct err *) NODISCARD;
/* What is to be said of a new authority, through ctx_warn: its key and its validity. */
void advise_authority(struct ctx *, const struct authority *);
/* Everything about an authority, with what it has issued so far: for `ca lint`. */
int advise_practice(struct ctx *, const struct authority *, struct advice **ret, size_t *ret_n, struct err *) NODISCARD;
