/* What AWS's services answer when something went wrong, and what to do about it. Guarantees: any bytes are read;
 * text of the service is escaped before it gets into a message. */
#include <string.h>

#include "base/text.h"
#include "base/tm.h"
#include "engine/aws_keys.h"

/* "com.amazonaws.kms#NotFoundException:http://…" */
static const char *bare_code(struct arena *a, const char *s)
{
	const char *hash = strchr(s, '#');
	struct bytes code;

	s = hash ? hash + 1 : s;
	code = (struct bytes){ (const unsigned char *)s, strcspn(s, ":") };
	return remote_say(a, arena_strndup(a, (const char *)code.p, code.n < 64 ? code.n : 64));
}

void aws_fault_read(struct arena *a, const char *header, struct bytes body, struct aws_fault *ret)
{
	static const char *const codes[] = { "__type", "code", "Code" };
	static const char *const messages[] = { "message", "Message", "errorMessage" };
	struct err not_json = { 0 };
	AUTO(json_t) *j = NULL;
	const char *code = NULL, *message = NULL;

	if (remote_json(body, &j, &not_json) == 0) {
		for (size_t i = 0; i < COUNT(codes) && !code; i++)
			code = remote_text(j, codes[i]);
		for (size_t i = 0; i < COUNT(messages) && !message; i++)
			message = remote_text(j, messages[i]);
	} else {
		code = aws_xml_text(a, body, "Code");
		message = aws_xml_text(a, body, "Message");
	}
	if (!code)
		code = header;
	ret->code = code ? bare_code(a, code) : "";
	ret->message = remote_say(a, message);
}

/* The ones that need something else than an end with ERR_REMOTE. A quota of KMS (LimitExceededException) does not
 * pass by waiting. */
static const struct row {
	const char *code;
	enum remote_verdict verdict;
	enum err_code error;
} rows[] = {
	{ "ThrottlingException", REMOTE_THROTTLED, ERR_REMOTE },
	{ "Throttling", REMOTE_THROTTLED, ERR_REMOTE },
	{ "ThrottledException", REMOTE_THROTTLED, ERR_REMOTE },
	{ "RequestThrottled", REMOTE_THROTTLED, ERR_REMOTE },
	{ "RequestThrottledException", REMOTE_THROTTLED, ERR_REMOTE },
	{ "TooManyRequestsException", REMOTE_THROTTLED, ERR_REMOTE },
	{ "RequestLimitExceeded", REMOTE_THROTTLED, ERR_REMOTE },
	{ "BandwidthLimitExceeded", REMOTE_THROTTLED, ERR_REMOTE },
	{ "SlowDown", REMOTE_THROTTLED, ERR_REMOTE },
	{ "PriorRequestNotComplete", REMOTE_THROTTLED, ERR_REMOTE },
	{ "TransactionInProgressException", REMOTE_THROTTLED, ERR_REMOTE },
	{ "ProvisionedThroughputExceededException", REMOTE_THROTTLED, ERR_REMOTE },
	{ "KMSInternalException", REMOTE_AGAIN, ERR_REMOTE },
	{ "DependencyTimeoutException", REMOTE_AGAIN, ERR_REMOTE },
	{ "KeyUnavailableException", REMOTE_AGAIN, ERR_REMOTE },
	{ "RequestTimeout", REMOTE_AGAIN, ERR_REMOTE },
	{ "RequestTimeoutException", REMOTE_AGAIN, ERR_REMOTE },
	{ "InternalFailure", REMOTE_AGAIN, ERR_REMOTE },
	{ "InternalServiceError", REMOTE_AGAIN, ERR_REMOTE },
	{ "ServiceUnavailable", REMOTE_AGAIN, ERR_REMOTE },
	{ "IDPCommunicationError", REMOTE_AGAIN, ERR_REMOTE },
	{ "ExpiredTokenException", REMOTE_REFRESH, ERR_DENIED },
	{ "ExpiredToken", REMOTE_REFRESH, ERR_DENIED },
	{ "UnrecognizedClientException", REMOTE_REFRESH, ERR_DENIED },
	{ "InvalidClientTokenId", REMOTE_REFRESH, ERR_DENIED },
	{ "RequestExpired", REMOTE_REFRESH, ERR_DENIED },
	{ "RequestTimeTooSkewed", REMOTE_REFRESH, ERR_DENIED },
	{ "AccessDeniedException", REMOTE_FAILED, ERR_DENIED },
	{ "AccessDenied", REMOTE_FAILED, ERR_DENIED },
	{ "InvalidSignatureException", REMOTE_FAILED, ERR_DENIED },
	{ "SignatureDoesNotMatch", REMOTE_FAILED, ERR_DENIED },
	{ "IncompleteSignature", REMOTE_FAILED, ERR_DENIED },
	{ "MissingAuthenticationTokenException", REMOTE_FAILED, ERR_DENIED },
	{ "OptInRequired", REMOTE_FAILED, ERR_DENIED },
	{ "NotAuthorized", REMOTE_FAILED, ERR_DENIED },
	{ "DisabledException", REMOTE_FAILED, ERR_DENIED },
	{ "KMSInvalidStateException", REMOTE_FAILED, ERR_DENIED },
	{ "InvalidIdentityToken", REMOTE_FAILED, ERR_DENIED },
	{ "NotFoundException", REMOTE_FAILED, ERR_NOT_FOUND },
	{ "ResourceNotFoundException", REMOTE_FAILED, ERR_NOT_FOUND },
	{ "AlreadyExistsException", REMOTE_FAILED, ERR_EXISTS },
	{ "ResourceExistsException", REMOTE_FAILED, ERR_EXISTS },
	{ "InvalidRequestException", REMOTE_FAILED, ERR_CONFLICT },
	{ "UnsupportedOperationException", REMOTE_FAILED, ERR_UNSUPPORTED }
};

enum remote_verdict aws_fault_judge(int status, const struct aws_fault *f, enum err_code *ret)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (strcmp(f->code, rows[i].code) != 0)
			continue;
		*ret = rows[i].error;
		/* Whose clock is off is told by these words only. */
		if (strstr(f->message, "Signature expired") || strstr(f->message, "not yet current"))
			return REMOTE_REFRESH;
		return rows[i].verdict;
	}
	*ret = status == 401 || status == 403 ? ERR_DENIED : ERR_REMOTE;
	if (status == 429)
		return REMOTE_THROTTLED;
	return status >= 500 && status != 501 && status != 505 ? REMOTE_AGAIN : REMOTE_FAILED;
}

bool aws_http_date(const char *s, int64_t *ret)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	SCOPED_ARENA *a = arena_new();
	struct err ignored = { 0 };
	const char *month;

	/* One form only: the old ones ended with HTTP/1.0. */
	if (strlen(s) != 29 || s[3] != ',' || strcmp(s + 25, " GMT") != 0)
		return false;
	month = strstr(months, arena_strndup(a, s + 8, 3));
	if (!month || (month - months) % 3)
		return false;
	return tm_parse(arena_printf(a, "%.4s-%02d-%.2sT%.8sZ", s + 12, (int)(month - months) / 3 + 1, s + 5, s + 17),
			ret, &ignored) == 0;
}

char *aws_xml_text(struct arena *a, struct bytes xml, const char *name)
{
	const char *open = arena_printf(a, "<%s>", name), *close = arena_printf(a, "</%s>", name);
	const char *start = xml.n ? memmem(xml.p, xml.n, open, strlen(open)) : NULL, *end;
	size_t left;

	if (!start)
		return NULL;
	start += strlen(open);
	left = (size_t)((const char *)xml.p + xml.n - start);
	end = memchr(start, '<', left);
	left -= end ? (size_t)(end - start) : left;
	if (!end || left < strlen(close) || memcmp(end, close, strlen(close)) != 0 ||
	    memchr(start, 0, (size_t)(end - start)))
		return NULL;
	return arena_strndup(a, start, (size_t)(end - start));
}
