/* Devices: registering, renewing, decommissioning. Guarantees: an id is registered once; a device that is
 * decommissioned has no live certificate left; what is deleted was decommissioned before. */
#include "pki/device.h"

#include <string.h>

#include "base/text.h"
#include "crypto/digest.h"
#include "model/ca.h"
#include "pki/enroll.h"
#include "pki/revoke.h"
#include "state/ledger.h"

enum { REASON_SUPERSEDED = 4, REASON_CESSATION = 5 };

void device_registration(struct arena *a, const struct dms *d, const char *id, const struct device_entry *given,
			 struct device_entry *ret)
{
	const struct device_profile *p = &d->settings.enrollment_settings.device_provisioning_profile;
	struct device_entry x = given ? *given : (struct device_entry){ 0 };
	struct err ignored = { 0 };

	x.device = arena_strdup(a, id);
	x.action = DEVICE_REGISTER;
	x.dms = d->id;
	x.icon = x.icon ? x.icon : p->icon;
	x.icon_color = x.icon_color ? x.icon_color : p->icon_color;
	if (!x.tags.set)
		x.tags = p->tags;
	if (p->metadata && (!x.metadata || any_merge(a, p->metadata, x.metadata, &x.metadata, &ignored) != 0))
		x.metadata = p->metadata;
	if (x.metadata && strcmp(x.metadata, "{}") == 0)
		x.metadata = NULL;
	*ret = x;
}

bool device_spent(struct ctx *ctx, const struct csr *csr, struct identity *who)
{
	const char *by;
	struct err ignored = { 0 };
	struct certrec *v;
	struct filter same = { .field = "request_sha256", .op = OP_EQ, .value = sha256_hex(ctx->arena, csr->der) };
	struct query q = { .filters = &same, .nfilters = 1, .page_size = 8 };
	char *next;
	size_t n;

	if (!who->recorded || !who->rec.bind || strcmp(who->rec.bind, BIND_BOOTSTRAP) != 0 ||
	    who->rec.status != CERT_REVOKED ||
	    who->rec.revocation_reason != REASON_SUPERSEDED ||
	    ledger_certs(ctx->state, &q, &v, &n, &next, &ignored) != 0)
		return false;
	for (size_t i = 0; i < n && !who->spent; i++) {
		by = any_get(ctx->arena, v[i].metadata, META_AUTHORIZED_BY);
		who->spent = by && strcmp(by, who->rec.serial_number) == 0 && v[i].status == CERT_ACTIVE;
	}
	return who->spent;
}

int device_credential(struct arena *a, const struct dms *d, struct identity *who, struct refusal *why)
{
	const char *bootstrap = any_get(a, who->rec.metadata, META_BOOTSTRAP), *single, *device;

	if (!who->rec.bind || strcmp(who->rec.bind, BIND_BOOTSTRAP) != 0)
		return 0;
	if (who->rec.dms && strcmp(who->rec.dms, d->id) != 0)
		return refuse(why, 403, "other_dms", "the bootstrap certificate is for another device manager");
	single = any_get(a, bootstrap, "single_use");
	device = any_get(a, bootstrap, "device");
	who->single_use = !single || strcmp(single, "false") != 0;
	if (who->single_use)
		who->credential = arena_printf(a, "cert/%s", who->rec.fingerprint);
	if (device)
		who->device = device;
	return 0;
}

int device_register(struct ctx *ctx, const struct dms *d, const char *id, const struct device_entry *given,
		    struct err *e)
{
	struct device_entry x;
	struct device old;
	bool found;

	if (device_id_check(id, e) != 0 || ledger_find_device(ctx->state, id, &found, &old, e) != 0)
		return -1;
	if (found)
		return err_set(e, ERR_EXISTS, "device \"%s\" is registered already, with %s", id,
			       old.dms ? old.dms : "no device manager");
	device_registration(ctx->arena, d, id, given, &x);
	return ledger_add_device(ctx->state, &x, e);
}

int device_revoke(struct ctx *ctx, const struct device *d, int reason, const char *note, size_t *ret_n, struct err *e)
{
	struct revoke_order order = { .action = REVOKE_REVOKE, .reason = reason, .note = note };
	struct certrec *v;
	size_t n;

	*ret_n = 0;
	if (ledger_device_certs(ctx->state, d, &v, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (v[i].status == CERT_REVOKED || v[i].not_after < ctx->now)
			continue;
		if (revoke_cert(ctx, &v[i], &order, e) != 0)
			return -1;
		++*ret_n;
	}
	return 0;
}

static int add(struct ctx *ctx, const struct device *d, int action, const char *reason, struct err *e)
{
	struct device_entry x = { .device = d->id, .action = action, .reason = arena_strdup(ctx->arena, reason) };

	return ledger_add_device(ctx->state, &x, e);
}

int device_decommission(struct ctx *ctx, const struct device *d, const char *reason, size_t *ret_n, struct err *e)
{
	if (d->decommissioned_at)
		return err_set(e, ERR_CONFLICT, "device \"%s\" is decommissioned already", d->id);
	return device_revoke(ctx, d, REASON_CESSATION, reason, ret_n, e) != 0
	       ? -1 : add(ctx, d, DEVICE_DECOMMISSION, reason, e);
}

int device_delete(struct ctx *ctx, const struct device *d, const char *reason, struct err *e)
{
	if (!d->decommissioned_at)
		return err_set(e, ERR_CONFLICT, "device \"%s\" is %s: `device decommission` comes first", d->id,
			       device_status_names[d->status]);
	return add(ctx, d, DEVICE_DELETE, reason, e);
}

/* --- renewals --- */

static const struct field device_renewal_fields[] = {
	STR(device_renewal, id, "Device.", .flags = F_KEY | F_COL),
	STR(device_renewal, dms, "Its device manager.", .flags = F_COL),
	ENUM(device_renewal, status, device_status_names, "Status as of now.", .flags = F_COL | F_SHOW0),
	STR(device_renewal, serial_number, "Certificate in use."),
	TIME(device_renewal, renew_from, "Since when it may renew; absent: any time.", .flags = F_COL),
	TIME(device_renewal, renew_before, "When it should have: the critical delta begins.", .flags = F_COL),
	TIME(device_renewal, expiration_date, "When the certificate ends.", .flags = F_COL),
	END
};
const struct schema device_renewal_type = {
	.name = "renewal", .plural = "renewals", .doc = "A device that must renew",
	.size = sizeof(struct device_renewal),
	.fields = device_renewal_fields
};

/* Seconds before the end at which the window opens; 0: it is always open. */
static int64_t window_of(struct ctx *ctx, const struct dms *d)
{
	const char *id = d->settings.issuance_profile_id;
	struct err ignored = { 0 };
	struct profile p;
	struct ca ca;

	if (d->settings.reenrollment_settings.reenrollment_delta.secs > 0)
		return d->settings.reenrollment_settings.reenrollment_delta.secs;
	if (!id && state_get(ctx->state, &ca_type, d->settings.enrollment_settings.enrollment_ca, &ca, &ignored) == 0)
		id = ca.issuance_profile_id;
	if (!id || state_get(ctx->state, &profile_type, id, &p, &ignored) != 0)
		return 0;
	return p.renewal_policy.renewal_window_days * 86400;
}

int device_renewal_of(struct ctx *ctx, const struct device *d, struct device_renewal *ret, struct err *e)
{
	struct device_deltas deltas = DEVICE_DELTAS_DEFAULT;
	int64_t end = d->identity.expiration_date, window = 0;
	struct err ignored = { 0 };
	struct dms dms;

	(void)e;
	if (d->dms && state_get(ctx->state, &dms_type, d->dms, &dms, &ignored) == 0) {
		deltas.critical = dms.settings.reenrollment_settings.critical_delta.secs;
		window = window_of(ctx, &dms);
	}
	*ret = (struct device_renewal){ .id = d->id, .dms = d->dms, .status = d->status,
					.serial_number = d->identity.serial_number, .renew_from = window
							 ? end - window : 0, .renew_before = end - deltas.critical,
											     .expiration_date = end };
	return 0;
}
