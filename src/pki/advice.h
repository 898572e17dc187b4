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
/* Prints what is to be said of an authority through ctx_warn. */
void advise_authority(struct ctx *, const struct authority *);
