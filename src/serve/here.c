/* The listeners, where this program has them. */
#include "serve/listener.h"

const struct listen_ops *listen_here;
