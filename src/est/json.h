#pragma once
#include "rec/node.h"

/* JSON that others sent: an object, without a member that is there twice, and never YAML. */
int json_object(struct arena *, const char *what, struct bytes text, struct node *ret, struct err *) NODISCARD;
const char *json_str(const struct node *object, const char *name); /* the member as text; NULL when it is absent or no string */
bool json_number(const struct node *object, const char *name, double *ret); /* false when it is absent or no number */
bool json_true(const struct node *object, const char *name);
