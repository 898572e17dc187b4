/* HTTP by libcurl. Guarantees: only http and https, TLS 1.2 at least with verification, no redirects, no credentials of ~/.netrc, limits
 * on time and on what an answer may hold. */
#include <curl/curl.h>
#include <string.h>

#include "base/text.h"
#include "net/net.h"

enum { CONNECT_TIMEOUT_MS = 10000, TIMEOUT_MS = 60000, ANSWER_MAX = 64 << 10 };

typedef struct curl_slist curl_slist;
DEFINE_AUTO(CURL, curl_easy_cleanup)
DEFINE_AUTO(curl_slist, curl_slist_free_all)

struct upload {
	struct bytes left;
	size_t answered;
};

static size_t give(char *to, size_t size, size_t n, void *arg)
{
	struct upload *u = arg;
	size_t room = size * n, take = u->left.n < room ? u->left.n : room;

	memcpy(to, u->left.p, take);
	u->left.p += take;
	u->left.n -= take;
	return take;
}

static size_t drop(char *text, size_t size, size_t n, void *arg)
{
	struct upload *u = arg;

	(void)text;
	u->answered += size * n;
	return u->answered > ANSWER_MAX ? 0 : size * n;
}

static bool set_up(CURL *c, const char *url, struct upload *u, curl_slist *headers)
{
	return curl_easy_setopt(c, CURLOPT_URL, url) == CURLE_OK && curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK && curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MS) == CURLE_OK && curl_easy_setopt(c, CURLOPT_UPLOAD, 1L) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_READFUNCTION, give) == CURLE_OK && curl_easy_setopt(c, CURLOPT_READDATA, u) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, drop) == CURLE_OK && curl_easy_setopt(c, CURLOPT_WRITEDATA, u) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)u->left.n) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers) == CURLE_OK;
}

static int put(struct ctx *ctx, const char *url, const char *content_type, struct bytes body, struct err *e)
{
	AUTO(CURL) *c = curl_easy_init();
	AUTO(curl_slist) *headers = curl_slist_append(NULL, arena_printf(ctx->arena, "Content-Type: %s", content_type));
	struct upload u = { .left = body };
	long status = 0;
	CURLcode rc;

	if (c == NULL || headers == NULL || !set_up(c, url, &u, headers))
		return err_set(e, ERR_UNSUPPORTED, "%s: this libcurl cannot send it", url);
	rc = curl_easy_perform(c);
	if (rc != CURLE_OK)
		return err_set(e, ERR_REMOTE, "%s: %s", url, curl_easy_strerror(rc));
	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
	if (status < 200 || status > 299)
		return err_set(e, ERR_REMOTE, "%s: the server answered %ld", url, status);
	return 0;
}

const struct net_ops net_curl = { .put = put };
