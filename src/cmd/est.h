#pragma once
#include "cli/cli.h"
#include "serve/report.h"

extern const struct cmd est_serve_cmd;

void listen_say(const char *line); /* on standard error */
/* For all listeners: becomes the program that has them; prints the summary and decides on the exit status. */
int listen_need(struct ctx *, struct err *) NODISCARD;
int listen_end(struct ctx *, const struct schema *type, const struct summary *, struct err *) NODISCARD;
