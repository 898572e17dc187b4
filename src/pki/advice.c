/* Best practices as warnings (C16, P16, and the table of recommended validity S20). Never refuses anything. */
#include "pki/advice.h"

#include <string.h>

#include "base/text.h"
#include "base/tm.h"
#include "crypto/key.h"
#include "engine/engine.h"
#include "state/ledger.h"
#include "state/state.h"

static const struct field advice_fields[] = {
	STR(advice, subject, "What it is about.", .flags = F_COL),
	STR(advice, rule, "Name of the rule.", .flags = F_COL | F_KEY),
	STR(advice, text, "What to consider.", .flags = F_COL),
	END
};
const struct schema advice_type = {
	.name = "advice", .plural = "advice", .doc = "A departure from best practice", .size = sizeof(struct advice),
	.fields = advice_fields
};

#define YEARS(n) (INT64_C(31536000) * (n))
#define DAYS(n) (INT64_C(86400) * (n))

struct advising {
	struct ctx *ctx;
	char *subject;
	struct advice *v;
	size_t n;
};

static void say(struct advising *s, const char *rule, const char *text)
{
	s->v = arena_grow(s->ctx->arena, s->v, s->n, sizeof(*s->v));
	s->v[s->n++] = (struct advice){ s->subject, arena_strdup(s->ctx->arena, rule),
					arena_strdup(s->ctx->arena, text) };
}

/* --- profiles --- */

static bool has_usage(const struct profile *p, const char *usage)
{
	for (size_t i = 0; i < p->extended_key_usages.n; i++)
		if (strcmp(p->extended_key_usages.v[i], usage) == 0)
			return true;
	return false;
}

static bool allows_short_rsa(const struct profile *p)
{
	const struct crypto_enforcement *c = &p->crypto_enforcement;

	if (!c->enabled || !c->allow_rsa_keys)
		return !c->enabled;
	for (size_t i = 0; i < c->allowed_rsa_key_sizes.n; i++)
		if (c->allowed_rsa_key_sizes.v[i] < 3072)
			return true;
	return !c->allowed_rsa_key_sizes.set;
}

static void advise_validity(struct advising *s, const struct profile *p)
{
	int64_t secs = p->validity.type == VALIDITY_DURATION ? p->validity.duration.secs : INT64_MAX;

	if (p->validity.type != VALIDITY_DURATION && !p->sign_as_ca)
		say(s, "fixed-end", "validity is not a duration: certificates do not end in time for renewal");
	else if (p->sign_as_ca && secs > YEARS(20))
		say(s, "long-validity", "an authority valid for more than 20 years");
	else if (!p->sign_as_ca && has_usage(p, "serverAuth") && !has_usage(p, "clientAuth") && secs > DAYS(398))
		say(s, "long-validity",
		    "TLS server certificates valid for more than 398 days; 90 days are recommended");
	else if (!p->sign_as_ca && secs > YEARS(2) + DAYS(2))
		say(s, "long-validity", "end-entity certificates valid for more than 2 years");
	if (!p->sign_as_ca && secs > YEARS(2) + DAYS(2) && allows_short_rsa(p))
		say(s, "rsa-2048-long", "RSA keys below 3072 bits for more than 2 years");
}

int advise_profile(struct ctx *ctx, const struct profile *p, struct advice **ret, size_t *ret_n, struct err *e)
{
	struct advising s = { .ctx = ctx, .subject = arena_printf(ctx->arena, "profile %s", p->id) };

	(void)e;
	if (!p->crypto_enforcement.enabled)
		say(&s, "crypto-enforcement", "crypto_enforcement is off: any secure key is certified");
	advise_validity(&s, p);
	if (p->sign_as_ca && p->path_length < 0)
		say(&s, "no-path-length", "an authority without path length can make any number of levels below it");
	if (!p->sign_as_ca && has_usage(p, "serverAuth") && has_usage(p, "clientAuth"))
		say(&s, "server-and-client",
		    "serverAuth beside clientAuth: devices that are no servers should not have it");
	if (p->honor_subject && p->honor_extensions && p->honor_key_usage && p->honor_extended_key_usages)
		say(&s, "requester-decides", "the request decides subject, extensions and usages");
	if (!p->sign_as_ca && has_usage(p, "serverAuth") && !p->honor_extensions &&
	    !p->subject_alternative_names.dns.n &&
	    !p->subject_alternative_names.ip.n)
		say(&s, "server-without-names",
		    "serverAuth without alternative names: TLS clients do not look at the common name");
	if (!p->sign_as_ca && p->extended_key_usages.n == 0 && !p->honor_extended_key_usages)
		say(&s, "no-extended-usage", "no extended key usage: the certificate is good for anything");
	*ret = s.v;
	*ret_n = s.n;
	return 0;
}

/* --- authorities --- */

/* S20 and the sizes per tier: root RSA 4096 or P-384, intermediate RSA 3072 or P-384, issuing RSA 2048 or P-256. */
static void advise_key(struct advising *s, const struct authority *a, const EVP_PKEY *pub)
{
	int bits = EVP_PKEY_get_bits(pub);
	bool root = authority_is_root(a);

	if (root && EVP_PKEY_is_a(pub, "RSA") && bits < 4096)
		say(s, "root-key-size", "a root with an RSA key below 4096 bits");
	if (root && EVP_PKEY_is_a(pub, "EC") && bits < 384)
		say(s, "root-key-size", "a root on a curve below P-384");
	if (!root && a->cert.path_length != 0 && EVP_PKEY_is_a(pub, "RSA") && bits < 2048)
		say(s, "key-size", "an RSA key below 2048 bits");
}

static void advise_place(struct advising *s, const struct authority *a)
{
	struct engine_doc doc;
	struct err ignored = { 0 };
	int64_t secs = a->cert.not_after - a->cert.not_before;
	bool root = authority_is_root(a);

	if (root && a->rec.engine_id && state_get(s->ctx->state, &engine_type, a->rec.engine_id, &doc, &ignored) == 0 &&
	    engine_security_level(&doc) == 0)
		say(s, "root-in-software",
		    "the root's key is in software (SL0): keep it offline, or in a hardware engine");
	if (root && secs > YEARS(20) + DAYS(6))
		say(s, "long-validity", "a root valid for more than 20 years");
	if (!root && secs > YEARS(10) + DAYS(4))
		say(s, "long-validity", "a subordinate authority valid for more than 10 years");
}

static bool advise_certificate(struct advising *s, const struct authority *a)
{
	AUTO(EVP_PKEY) *pub = NULL;
	struct err ignored = { 0 };

	if (a->cert.der.n == 0 || cert_pubkey(&a->cert, &pub, &ignored) != 0)
		return false;
	advise_key(s, a, pub);
	advise_place(s, a);
	return true;
}

void advise_authority(struct ctx *ctx, const struct authority *a)
{
	struct advising s = { .ctx = ctx, .subject = arena_printf(ctx->arena, "ca %s", a->rec.id) };

	advise_certificate(&s, a);
	for (size_t i = 0; i < s.n; i++)
		ctx_warn(ctx, "%s: %s", s.v[i].subject, s.v[i].text);
}

/* --- what an authority does --- */

static bool signs_authorities(struct ctx *ctx, const char *profile)
{
	struct err ignored = { 0 };
	struct profile p;

	return text_has_prefix(profile, "built-in-") ||
	       (state_get(ctx->state, &profile_type, profile, &p, &ignored) == 0 && p.sign_as_ca);
}

static int advise_issued(struct advising *s, const struct authority *a, struct err *e)
{
	const char *first = NULL;
	struct cert_count *v;
	bool several = false, leaves = false;
	size_t n;

	if (ledger_count(s->ctx->state, &v, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (strcmp(v[i].ca, a->rec.id) != 0 || v[i].profile == NULL || signs_authorities(s->ctx, v[i].profile))
			continue;
		leaves = true;
		several = several || (first && strcmp(first, v[i].profile) != 0);
		first = v[i].profile;
	}
	if (leaves && authority_is_root(a))
		say(s, "root-signs-leaves", "a root that signed end-entity certificates: use subordinate authorities");
	if (several)
		say(s, "several-types", "one authority for several types of certificate: make one for each");
	return 0;
}

int advise_practice(struct ctx *ctx, const struct authority *a, struct advice **ret, size_t *ret_n, struct err *e)
{
	struct advising s = { .ctx = ctx, .subject = arena_printf(ctx->arena, "ca %s", a->rec.id) };
	const char *issues = a->rec.issuance_profile_id;

	if (advise_certificate(&s, a)) {
		if (any_get(ctx->arena, a->rec.metadata, "lamassu.io/ca/expiration-deltas") == NULL)
			say(&s, "no-deltas",
			    "no lamassu.io/ca/expiration-deltas in its metadata: nobody is warned before it ends");
		if (issues && strcmp(issues, "bootstrap") == 0 && ctx->now - a->cert.not_before > YEARS(1))
			say(&s, "old-bootstrap", "a bootstrap authority that is older than a year: make a new one");
		if (advise_issued(&s, a, e) != 0)
			return -1;
	}
	*ret = s.v;
	*ret_n = s.n;
	return 0;
}
