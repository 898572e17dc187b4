/* Periods of validity (P2, P3): text to struct to end time. Guarantees: nothing ends after the year 9999 and no sum
 * overflows. */
#include <string.h>

#include "base/text.h"
#include "base/tm.h"
#include "pki/plan.h"

int validity_parse(struct arena *ar, const char *text, struct validity *ret, struct err *e)
{
	struct validity v = { 0 };
	struct err as_time = { 0 }, as_dur = { 0 };

	if (text_same_name(text, "indefinite")) {
		v.type = VALIDITY_INDEFINITE;
	} else if (strlen(text) >= 10 && text[4] == '-') {
		v.type = VALIDITY_TIME;
		if (tm_parse(text, &v.time, &as_time) != 0)
			return err_set(e, ERR_INVALID, "validity: %s", as_time.msg);
	} else {
		v.type = VALIDITY_DURATION;
		v.duration.text = arena_strdup(ar, text);
		if (dur_parse(text, &v.duration.secs, &as_dur) != 0)
			return err_set(e, ERR_INVALID, "validity: %s", as_dur.msg);
	}
	*ret = v;
	return 0;
}

int validity_end(const struct validity *v, int64_t now, int64_t *ret, struct err *e)
{
	int64_t end = TIME_MAX;

	if (v->type == VALIDITY_TIME)
		end = v->time;
	else if (v->type == VALIDITY_DURATION && __builtin_add_overflow(now, v->duration.secs, &end))
		end = INT64_MAX;
	if (end > TIME_MAX)
		return err_set(e, ERR_INVALID, "the certificate would end after the year 9999 (RFC 5280 4.1.2.5)");
	if (end <= now)
		return err_set(e, ERR_INVALID, "the certificate would end before it begins");
	*ret = end;
	return 0;
}
