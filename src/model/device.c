/* Devices: their entries in the ledger, what these add up to, and the status that follows from it and the clock.
 * Entries come from whoever may push, so the checks are for reading as much as for writing. */
#include "model/device.h"

#include <string.h>

#include "base/text.h"
#include "model/dms.h"

enum { ID_MAX = 255 };

const char *const device_status_names[] = {
	"NO_IDENTITY", "ACTIVE", "RENEWAL_PENDING", "EXPIRING_SOON", "EXPIRED", "REVOKED", "DECOMMISSIONED", NULL
};
static const char *const action_names[] = { "REGISTER", "CHANGE", "DECOMMISSION", "DELETE", "BLOCK", "UNBLOCK", "NOTE",
					    NULL };

bool device_id_valid(const char *id)
{
	char shown[4 * ID_MAX + 1];

	if (!id || !*id || strlen(id) > ID_MAX || !utf8_valid(bytes_of(id)))
		return false;
	text_escape_into(shown, sizeof(shown), bytes_of(id));
	return strcmp(shown, id) == 0;
}

int device_id_check(const char *id, struct err *e)
{
	char shown[80];

	if (device_id_valid(id))
		return 0;
	text_escape_into(shown, sizeof(shown), bytes_of(id ? id : ""));
	return err_set(e, ERR_INVALID, "device \"%s\": must be printable UTF-8 of 1 to %d bytes", shown, ID_MAX);
}

void device_set_status(struct device *d, struct device_deltas deltas, int64_t now)
{
	int64_t left = d->identity.expiration_date - now;
	int live = left < 0 ? DEVICE_EXPIRED : left < deltas.critical ? DEVICE_EXPIRING_SOON
						: left < deltas.preventive ? DEVICE_RENEWAL_PENDING : DEVICE_ACTIVE;

	if (!d->identity.serial_number)
		live = DEVICE_NO_IDENTITY;
	else if (d->state == DEVICE_DEAD || (d->state == DEVICE_GONE && left >= 0))
		live = DEVICE_REVOKED;
	d->identity.status = live;
	d->status = d->state == DEVICE_GONE ? DEVICE_DECOMMISSIONED : live;
}

/* --- entries --- */

static const struct field device_entry_fields[] = {
	STR(device_entry, device, "Id of the device.", .flags = F_REQ | F_COL),
	ENUM(device_entry, action, action_names, "REGISTER, CHANGE, DECOMMISSION, DELETE, BLOCK, UNBLOCK or NOTE.",
	     .flags = F_REQ | F_SHOW0),
	TIME(device_entry, time, "When.", .flags = F_REQ),
	INT(device_entry, seq, "Order among entries of one device within a second.", .dflt = "0",
	    .max = INT64_C(1) << 40),
	STR(device_entry, actor, "Who."),
	STR(device_entry, reason, "Why."),
	STR(device_entry, type, "Type of the event that a NOTE is."),
	STR(device_entry, dms, "Its device manager."),
	STR(device_entry, alias, "A name for people."),
	STR(device_entry, icon, "Icon, for user interfaces."),
	STR(device_entry, icon_color, "Its colours."),
	STRV(device_entry, tags, "Tags, all of them."),
	ANY(device_entry, metadata, "Free key-value data: the members that change; null removes one."),
	STR(device_entry, path, "The entry in the ledger.", .flags = F_OUT),
	END
};

static int device_entry_check(struct arena *a, void *rec, struct err *e)
{
	const struct device_entry *x = rec;

	(void)a;
	if (device_id_check(x->device, e) != 0)
		return -1;
	if (x->dms && *x->dms && !id_valid(x->dms))
		return err_set(e, ERR_INVALID, "dms: must be the id of a device manager");
	if (x->metadata && *x->metadata != '{')
		return err_set(e, ERR_INVALID, "metadata: must be a mapping");
	if (x->action == DEVICE_NOTE && (!x->type || !*x->type))
		return err_set(e, ERR_INVALID, "type: is required");
	return 0;
}

const struct schema device_entry_type = {
	.name = "device-entry", .plural = "device-entries", .doc = "What happened to a device",
	.size = sizeof(struct device_entry),
	.fields = device_entry_fields, .check = device_entry_check
};

/* --- what commands show --- */

static const struct field device_slot_fields[] = {
	ENUM(device_slot, status, device_status_names, "ACTIVE, RENEWAL_PENDING, EXPIRING_SOON, EXPIRED or REVOKED.",
	     .flags = F_SHOW0),
	STR(device_slot, type, "x509."),
	INT(device_slot, active_version, "Version in use, from 0.", .flags = F_SHOW0),
	STR(device_slot, serial_number, "Serial number of its certificate."),
	STR(device_slot, ca, "The authority that issued it."),
	TIME(device_slot, expiration_date, "End of its validity."),
	ANY(device_slot, versions, "Serial number of each version."),
	END
};
static const struct schema device_slot_type = {
	.name = "identity", .doc = "The device's certificates", .size = sizeof(struct device_slot),
	.fields = device_slot_fields
};

static const struct field device_fields[] = {
	STR(device, id, "Id.", .flags = F_KEY | F_COL),
	REF(device, dms, &dms_type, "Its device manager.", .flags = F_COL),
	STR(device, alias, "A name for people."),
	ENUM(device, status, device_status_names,
	     "NO_IDENTITY, ACTIVE, RENEWAL_PENDING, EXPIRING_SOON, EXPIRED, REVOKED or DECOMMISSIONED, as of now.",
	     .flags = F_COL | F_SHOW0),
	STRV(device, tags, "Tags.", .flags = F_COL),
	ANY(device, metadata, "Free key-value data."),
	STR(device, icon, "Icon, for user interfaces."),
	STR(device, icon_color, "Its colours."),
	BOOL(device, blocked, "It may not enrol: compromised.", .dflt = "false"),
	OBJ(device, identity, &device_slot_type, "Its certificates."),
	TIME(device, created_at, "When it was registered.", .flags = F_COL),
	TIME(device, decommissioned_at, "When it was decommissioned."),
	END
};
const struct schema device_type = {
	.name = "device", .plural = "devices", .doc = "A device", .size = sizeof(struct device), .fields = device_fields
};

static const struct field device_event_fields[] = {
	TIME(device_event, time, "When.", .flags = F_COL),
	STR(device_event, type, "What.", .flags = F_COL | F_KEY),
	STR(device_event, description, "More of it.", .flags = F_COL),
	STR(device_event, serial_number, "The certificate that it is about."),
	STR(device_event, actor, "Who.", .flags = F_COL),
	STR(device_event, reason, "Why.", .flags = F_COL),
	END
};
const struct schema device_event_type = {
	.name = "device-event", .plural = "device-events", .doc = "Something that happened to a device",
	.size = sizeof(struct device_event),
	.fields = device_event_fields
};
