/* Groups of devices: the record. Whether fields and operands exist is known where they are run. */
#include "model/group.h"

static const char *const operand_aka[] = { "operator", NULL };
static const struct field criterion_fields[] = {
	STR(group_criterion, field, "Field of a device, as in filters: dms, tags, status, metadata.site …",
	    .flags = F_REQ),
	STR(group_criterion, operand,
	    "Operator, as in filters: eq, ne, ct, nc, sw, ew, gt, ge, lt, le, bf, af, in, nin.", .flags = F_REQ,
	    .aka = operand_aka),
	STR(group_criterion, value, "What it is compared with.", .flags = F_REQ),
	END
};
static const struct schema criterion_type = {
	.name = "criterion", .doc = "A condition that devices of the group meet",
	.size = sizeof(struct group_criterion), .fields = criterion_fields
};

static const struct field group_fields[] = {
	STR(group, id, "Name of the group: [a-z0-9][a-z0-9._-]{0,63}.", .flags = F_REQ | F_KEY | F_COL),
	STR(group, name, "A title for people.", .flags = F_COL),
	STR(group, description, "What the group is for."),
	REF(group, parent_id, &group_type, "The group above: its criteria hold here too.", .flags = F_COL),
	OBJV(group, criteria, &criterion_type, "Conditions; devices of the group meet all of them."),
	TIME(group, created_at, "When the record was made."),
	END
};
const struct schema group_type = {
	.name = "group", .plural = "groups", .path = "groups/%s.yaml",
	.doc = "A group of devices, by what they have in common",
	.size = sizeof(struct group), .fields = group_fields
};
