/* slow_kms MILLISECONDS PORT-FILE: a stand-in for AWS KMS that is fast but far away, so that what is measured is the
 * client. It has one P-256 key, signs digests with it, gives each answer after so many milliseconds, and checks
 * nothing. It says at its end how many signatures it gave and how many requests were under way at most. */
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/algs.h"
#include "crypto/key.h"
#include "engine/remote.h"

#define ARN "arn:aws:kms:eu-west-1:000000000000:key/00000000-0000-0000-0000-000000000000"

static struct event_base *base;
static struct timeval latency;
static EVP_PKEY *key;
static const struct sigalg *alg;
static unsigned long under_way, most, signatures;

struct reply {
	struct evhttp_request *request;
	char *text;
};

static void quit(const char *why)
{
	fprintf(stderr, "slow_kms: %s\n", why);
	exit(1);
}

static json_t *sign(json_t *in, struct arena *a)
{
	const char *text = json_string_value(json_object_get(in, "Message"));
	SCOPED_BUF sig = buf_init(BUF_TEXT);
	struct err e = { 0 };
	struct bytes digest;

	if (!text || b64_decode(a, bytes_of(text), &digest) != 0 || key_sign_digest(key, alg, digest, &sig, &e) != 0)
		quit("no digest");
	signatures++;
	return json_pack("{s:s,s:s,s:s}", "KeyId", ARN, "Signature", b64_encode(a, buf_bytes(&sig)), "SigningAlgorithm",
			 "ECDSA_SHA_256");
}

static json_t *answer(const char *target, json_t *in, struct arena *a)
{
	struct err e = { 0 };
	struct bytes spki;

	if (strcmp(target, "TrentService.Sign") == 0)
		return sign(in, a);
	if (strcmp(target, "TrentService.CreateKey") == 0)
		return json_pack("{s:{s:s}}", "KeyMetadata", "Arn", ARN);
	if (strcmp(target, "TrentService.GetPublicKey") != 0)
		return json_object();
	if (key_spki(a, key, &spki, &e) != 0)
		quit(e.msg);
	return json_pack("{s:s,s:s}", "KeyId", ARN, "PublicKey", b64_encode(a, spki));
}

static void give(evutil_socket_t fd, short what, void *arg)
{
	struct reply *r = arg;
	struct evbuffer *body = evbuffer_new();

	(void)fd, (void)what;
	evbuffer_add_printf(body, "%s", r->text);
	evhttp_add_header(evhttp_request_get_output_headers(r->request), "Content-Type", "application/x-amz-json-1.1");
	evhttp_send_reply(r->request, 200, "OK", body);
	evbuffer_free(body);
	free(r->text);
	free(r);
	under_way--;
}

static void take(struct evhttp_request *request, void *arg)
{
	const char *target = evhttp_find_header(evhttp_request_get_input_headers(request), "X-Amz-Target");
	struct evbuffer *body = evhttp_request_get_input_buffer(request);
	struct reply *r = calloc(1, sizeof(*r));
	SCOPED_ARENA *a = arena_new();
	AUTO(json_t) *in = json_loadb((char *)evbuffer_pullup(body, -1), evbuffer_get_length(body), 0, NULL);
	AUTO(json_t) *out = answer(target ? target : "", in, a);

	(void)arg;
	r->request = request;
	r->text = json_dumps(out, JSON_COMPACT);
	if (++under_way > most)
		most = under_way;
	event_base_once(base, -1, EV_TIMEOUT, give, r, &latency);
}

static void stop(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	printf("%lu %lu\n", signatures, most);
	event_base_loopbreak(base);
}

static void tell_port(struct evhttp *http, const char *path)
{
	struct evhttp_bound_socket *s = evhttp_bind_socket_with_handle(http, "127.0.0.1", 0);
	struct sockaddr_in at;
	socklen_t n = sizeof(at);
	FILE *f;

	if (!s || getsockname(evhttp_bound_socket_get_fd(s), (struct sockaddr *)&at, &n) != 0)
		quit("cannot listen");
	f = fopen(path, "w");
	if (!f || fprintf(f, "%d\n", ntohs(at.sin_port)) < 0 || fclose(f) != 0)
		quit(path);
}

int main(int argc, char **argv)
{
	struct err e = { 0 };
	struct evhttp *http;
	struct event *end;

	if (argc != 3)
		quit("usage: slow_kms MILLISECONDS PORT-FILE");
	latency = (struct timeval){ .tv_usec = 1000 * strtol(argv[1], NULL, 10) };
	if (key_generate(keytype_parse("ecdsa:256", &e), &key, &e) != 0)
		quit(e.msg);
	alg = sigalg_default(key);
	base = event_base_new();
	http = evhttp_new(base);
	end = evsignal_new(base, SIGTERM, stop, NULL);
	evhttp_set_gencb(http, take, NULL);
	event_add(end, NULL);
	tell_port(http, argv[2]);
	event_base_dispatch(base);
	event_free(end);
	evhttp_free(http);
	event_base_free(base);
	EVP_PKEY_free(key);
	return 0;
}
