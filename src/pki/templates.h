#pragma once
#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"
#include "model/profile.h"

/* The shipped profiles (P12): files in pkgdatadir/profiles, or in $LAMASSU_DATADIR/profiles. */
int templates_list(struct arena *, struct strv *ret_names, struct err *) NODISCARD;
/* ERR_NOT_FOUND names the known */
int template_text(struct arena *, const char *name, struct bytes *ret, struct err *) NODISCARD;
int template_profile(struct arena *, const char *name, struct profile *ret, struct err *) NODISCARD;
