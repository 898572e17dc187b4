#pragma once
#include "base/arena.h"
#include "base/bytes.h"
#include "net/net.h"

/* AWS Signature Version 4, in the Authorization header. A pure function of its arguments. */
struct aws_keys {
	const char *access, *secret;
	const char *token; /* of a session; NULL: none */
	int64_t expires;   /* 0: never */
	const char *source; /* for people: "the environment" */
};

struct sigv4 { /* what is signed */
	const char *method;
	const char *path;  /* as in the URL, "/" at least */
	const char *query; /* as in the URL, without "?"; NULL: none */
	const struct net_header *headers; /* all of them signed; host and x-amz-date must be there */
	size_t nheaders;
	struct bytes body;
	const char *region, *service;
	int64_t when; /* x-amz-date */
};

char *sigv4_date(struct arena *, int64_t); /* "20150830T123600Z" */
char *sigv4_authorization(struct arena *, const struct sigv4 *, const struct aws_keys *);
