/* Authentication of EST clients: which way, and in what order. Guarantees: nothing but a manager that says so lets a
 * client in without a credential, and then only if the listener was started with --allow-no-auth. */
#include "est/auth.h"

#include <string.h>

#include "est/service.h"

static int no_auth(struct asking *q, struct identity *who, struct refusal *why)
{
	if (!q->options->allow_no_auth)
		return refuse(why, 401, "authentication_failure", "no credential");
	who->via = "no_auth";
	return 0;
}

static int not_set(struct asking *q, struct identity *who, struct refusal *why)
{
	(void)q, (void)who;
	return refuse(why, 401, "authentication_failure", "the device manager accepts no credential");
}

static int both(struct asking *q, struct identity *who, struct refusal *why)
{
	if (auth_cert(q, who, why) != 0 || auth_webhook(q, who, why) != 0)
		return -1;
	who->via = "certificate_and_webhook";
	return 0;
}

int wait_begin(struct asking *q, struct refusal *why)
{
	return post_wait_begin(q->post) ? 0 : refuse(why, REFUSAL_LATER, "overloaded", "others are waiting already");
}

void wait_end(struct asking *q)
{
	post_wait_end(q->post);
}

/* By enum dms_auth. */
static int (*const ways[])(struct asking *, struct identity *, struct refusal *) = {
	[AUTH_NONE] = not_set, [AUTH_CERT] = auth_cert, [AUTH_WEBHOOK] = auth_webhook,
	[AUTH_CERT_AND_WEBHOOK] = both, [AUTH_JWT] = auth_jwt, [AUTH_PSK] = auth_psk, [AUTH_OPEN] = no_auth
};

bool est_auth_known(int type)
{
	return type >= 0 && (size_t)type < COUNT(ways) && ways[type];
}

void est_challenge(const struct post *p, const struct served *s, bool renewal, struct http_response *out)
{
	const struct dms_settings *set = &s->dms.settings;
	const struct dms_authentication *how =
		renewal ? &set->reenrollment_settings.authentication
			: &set->enrollment_settings.est_rfc7030_settings.authentication;

	if (how->type == AUTH_PSK)
		psk_challenge(p, &s->dms, how->psk.store, out);
	else
		http_add_header(out, "WWW-Authenticate",
				how->type == AUTH_JWT ? "Bearer realm=\"EST\""
						      : "Basic realm=\"EST\", charset=\"UTF-8\"");
}

int est_authenticate(struct asking *q, struct identity *ret, struct refusal *why)
{
	struct identity who = { 0 };

	if (!est_auth_known(q->how->type))
		return not_set(q, &who, why);
	if (ways[q->how->type](q, &who, why) != 0)
		return -1;
	if (who.device && strcmp(who.device, q->device) != 0)
		return refuse(why, 403, "device_mismatch", "the credential is for another device");
	if (binding_check(q, why) != 0)
		return -1;
	*ret = who;
	return 0;
}
