/* Which lines a listener writes into its local logs. */
#include "serve/logs.h"

#include "serve/report.h"

static bool class_on(const struct security_events *s, enum log_class class)
{
	switch (class) {
	case CLASS_AUTHENTICATION:
		return s->enabled && s->log_authentication;
	case CLASS_AUTHORIZATION:
		return s->enabled && s->log_authorization;
	case CLASS_ISSUANCE:
		return s->enabled && s->log_certificate_issuance;
	case CLASS_NONE:
		break;
	}
	return true;
}

bool logs_wanted(const struct logs_settings *s, enum log_class class, int status)
{
	int level = report_is_fault(status) ? LOGS_ERROR : status >= 400 ? LOGS_WARN : LOGS_INFO;

	return level >= s->level && class_on(&s->security_events, class);
}
