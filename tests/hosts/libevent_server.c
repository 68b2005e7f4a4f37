/* SPDX-License-Identifier: MIT */
/* An echo server on one libevent loop. Says "listening PORT". */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include <netinet/in.h>
#include <sys/socket.h>

static void
on_read(struct bufferevent *bev, void *arg)
{
	bufferevent_write_buffer(bev, bufferevent_get_input(bev));
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		bufferevent_free(bev);
}

static void
on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
	int length, void *arg)
{
	struct bufferevent *bev = bufferevent_socket_new(
		evconnlistener_get_base(listener), fd, BEV_OPT_CLOSE_ON_FREE);

	bufferevent_setcb(bev, on_read, NULL, on_event, NULL);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
}

static void
on_signal(evutil_socket_t number, short what, void *arg)
{
	event_base_loopbreak(arg);
}

int
main(void)
{
	struct event_base *base = event_base_new();
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr = {htonl(INADDR_LOOPBACK)},
	};
	socklen_t length = sizeof(address);
	struct evconnlistener *listener = evconnlistener_new_bind(base, on_accept, NULL,
		LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, -1,
		(struct sockaddr *)&address, sizeof(address));
	struct event *term = evsignal_new(base, SIGTERM, on_signal, base);

	if (!listener || !term || event_add(term, NULL) ||
		getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&address,
			&length))
		return EXIT_FAILURE;
	printf("listening %d\n", ntohs(address.sin_port));
	fflush(stdout);
	event_base_dispatch(base);
	event_free(term);
	evconnlistener_free(listener);
	event_base_free(base);
	return EXIT_SUCCESS;
}
