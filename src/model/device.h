#pragma once
#include "rec/schema.h"

/* A device, as the ledger's entries about it and its certificates add up. Its status depends on the clock and on the
 * deltas of its device manager, and is never stored. */
enum device_status {
	DEVICE_NO_IDENTITY, DEVICE_ACTIVE, DEVICE_RENEWAL_PENDING, DEVICE_EXPIRING_SOON, DEVICE_EXPIRED, DEVICE_REVOKED,
	DEVICE_DECOMMISSIONED, DEVICE_STATUSES
};
extern const char *const device_status_names[];

/* What happened to a device: an entry devices/…/<device>.<time>.<writer>.yaml. Enrolments, renewals and revocations are
 * not among them: those are the entries of certificates. */
enum device_action {
	DEVICE_REGISTER,     /* of a device that is registered already: changes nothing */
	DEVICE_CHANGE,       /* of what is given; members of metadata that are null are removed */
	DEVICE_DECOMMISSION, /* for good, until it is deleted */
	DEVICE_DELETE,       /* forgets it; what is registered under this id later is another device */
	DEVICE_BLOCK,        /* it may not enrol (compromised) */
	DEVICE_UNBLOCK,
	DEVICE_NOTE          /* nothing but an event of `type` */
};
struct device_entry {
	char *device;
	int action;          /* enum device_action */
	int64_t time, seq;   /* the order within a second: how many entries of the device the writer knew */
	char *actor, *reason;
	char *type;          /* DEVICE_NOTE: type of the event */
	char *dms, *alias, *icon, *icon_color; /* "" removes */
	struct strv tags;
	char *metadata;      /* object */
	char *path;          /* of the entry */
};
extern const struct schema device_entry_type;

struct device_slot {
	int status;                 /* enum device_status */
	char *type;                 /* "x509" */
	int64_t active_version;     /* from 0 */
	char *serial_number, *ca;   /* of the active version */
	int64_t expiration_date;    /* its notAfter */
	char *versions;             /* {"0": "serial", …}; only where one device was asked for */
};
struct device {
	char *id, *dms, *alias;
	int status;                 /* enum device_status */
	struct strv tags;
	char *metadata, *icon, *icon_color;
	bool blocked;
	struct device_slot identity;
	int64_t created_at, decommissioned_at;
	int64_t state;              /* enum device_state: what does not depend on the clock */
	int64_t since;              /* certificates from before are another device's */
};
/* DEAD: the active version is revoked or held; GONE: decommissioned */
enum device_state { DEVICE_EMPTY, DEVICE_LIVE, DEVICE_DEAD, DEVICE_GONE };
extern const struct schema device_type;

/* One line of a device's history, from entries of all kinds. */
struct device_event {
	int64_t time;
	/* CREATED, PROVISIONED, RE-PROVISIONED, RENEWED, REVOKED, HELD, SHADOW-UPDATED, DECOMMISSIONED, BLOCKED … */
	char *type;
	char *description, *serial_number, *actor, *reason;
};
extern const struct schema device_event_type;

/* Deltas of a device manager, in seconds before the end of a certificate. */
struct device_deltas {
	int64_t preventive, critical;
};
#define DEVICE_DELTAS_DEFAULT ((struct device_deltas){ 90 * 86400, 30 * 86400 })
/* Sets status, and that of the slot. */
void device_set_status(struct device *, struct device_deltas, int64_t now);

bool device_id_valid(const char *); /* printable UTF-8 of 1 to 255 bytes */
int device_id_check(const char *, struct err *) NODISCARD;
