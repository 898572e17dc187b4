#pragma once
#include "base/ctx.h"
#include "model/device.h"
#include "model/dms.h"
#include "model/ledger_records.h"

/* Devices: the rules. Everything goes into the transaction; the caller commits. */

/* A bootstrap certificate's head has `bind` BIND_BOOTSTRAP, `dms` when it is for one device manager, and no `device`.
 * Its metadata has META_BOOTSTRAP: {"single_use": true} and "device" when it is for one device. Whoever enrols with one
 * of single use revokes it (superseded) in the same commit. */
#define BIND_BOOTSTRAP "BOOTSTRAP"
#define BIND_RENEWED "RENEWED"
#define META_BOOTSTRAP "lamassu.io/bootstrap"
/* In an enrolled certificate's metadata: the serial number of the certificate that was its credential. */
#define META_AUTHORIZED_BY "lamassu.io/device/authorized-by"
/* sub and jti of the bearer token that was its credential. */
#define META_TOKEN "lamassu.io/device/token"

/* What the ledger says of a client's certificate, once who->rec is its record: a bootstrap certificate may be for one
 * device, for one device manager, for one use. */
struct identity;
struct refusal;
struct csr;
/* Is it a bootstrap certificate of single use that was revoked by enrolling with this very request? Sets who->spent. */
bool device_spent(struct ctx *, const struct csr *, struct identity *);
int device_credential(struct arena *, const struct dms *, struct identity *, struct refusal *) NODISCARD;

/* A registration with the device manager's provisioning profile for all that `given` leaves open; given may be NULL. */
void device_registration(struct arena *, const struct dms *, const char *id, const struct device_entry *given,
			 struct device_entry *ret);
/* ERR_EXISTS when the id is taken, by whichever device manager. */
int device_register(struct ctx *, const struct dms *, const char *id, const struct device_entry *given,
		    struct err *) NODISCARD;

/* Revokes every live certificate of the device; counts them. */
int device_revoke(struct ctx *, const struct device *, int reason, const char *note, size_t *ret_n,
		  struct err *) NODISCARD;
/* For good: all its certificates are revoked (cessation_of_operation). ERR_CONFLICT when it is decommissioned
 * already. */
int device_decommission(struct ctx *, const struct device *, const char *reason, size_t *ret_n, struct err *) NODISCARD;
/* Forgets a decommissioned device; its certificates stay. ERR_CONFLICT unless it is decommissioned. */
int device_delete(struct ctx *, const struct device *, const char *reason, struct err *) NODISCARD;

/* When a device may renew and when it must; 0: any time, and the status tells the rest. */
struct device_renewal {
	char *id, *dms;
	int status;            /* enum device_status */
	char *serial_number;
	int64_t renew_from, renew_before, expiration_date;
};
extern const struct schema device_renewal_type;
int device_renewal_of(struct ctx *, const struct device *, struct device_renewal *ret, struct err *) NODISCARD;

/* A device's key is not its own any more: its certificates are revoked (key_compromise), it may not enrol, and each
 * certificate with one of its keys, or enrolled with the same bootstrap certificate, is reported. */
struct device_touched {
	char *serial_number, *ca, *device, *subject, *status, *why, *action;
	int64_t not_after;
};
extern const struct schema device_touched_type;
int device_compromise(struct ctx *, const struct device *, const char *reason, struct device_touched **ret,
		      size_t *ret_n, struct err *) NODISCARD;
/* Text for the ticket. */
void device_ticket(struct ctx *, const struct device *, const struct device_touched *, size_t n, struct buf *out);
