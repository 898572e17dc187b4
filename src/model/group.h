#pragma once
#include "rec/schema.h"

/* A group of devices: groups/<id>.yaml. Who belongs to it is found when it is asked for: whoever meets the criteria of
 * the group and of all groups above it. */
struct group_criterion {
	char *field, *operand, *value;
};
struct group {
	char *id, *name, *description;
	char *parent_id;
	struct vec criteria; /* struct group_criterion */
	int64_t created_at;
};
extern const struct schema group_type;
