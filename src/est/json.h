#pragma once
#include "rec/node.h"

/* JSON that others sent: an object, without a member that is there twice, and never YAML. */
int est_json(struct arena *, const char *what, struct bytes text, struct node *ret, struct err *) NODISCARD;
/* the member as text; NULL when it is absent or no string */
const char *est_json_str(const struct node *object, const char *name);
/* false when it is absent or no number */
bool est_json_number(const struct node *object, const char *name, double *ret);
bool est_json_true(const struct node *object, const char *name);
