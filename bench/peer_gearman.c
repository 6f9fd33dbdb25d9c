/* Why this file exists: what `fts-bench worker` is compared with: gearmand with its C library, on the same payload. A
 * job server, a process of workers (--clients connections, a thread each) and this client, which keeps --outstanding
 * jobs in flight over one connection with the library's own way of doing so. Nothing is stored by gearmand here. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <libgearman/gearman.h>

#include "bench/measure.h"
#include "bench/options.h"

enum { REQUEST_BYTES = 100, ANSWER_BYTES = 20, WORKER_MAX = 64, START_TRIES = 100 };

static in_port_t free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&address, size) == 0 &&
		  getsockname(fd, (struct sockaddr *)&address, &size) == 0;
	if (fd >= 0) close(fd);
	return ok ? ntohs(address.sin_port) : 0;
}

static pid_t start_server(in_port_t port)
{
	char flag[32];
	(void)snprintf(flag, sizeof flag, "--port=%u", port);
	pid_t pid = fork();
	if (pid != 0) return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	execlp("gearmand", "gearmand", "--listen=127.0.0.1", flag, "--log-file=none", "--verbose=FATAL", (char *)NULL);
	fprintf(stderr, "peer-gearman: gearmand: %s\n", strerror(errno));
	_exit(127);
}

/* ---- Workers ---- */

static gearman_return_t work(gearman_job_st *job, void *ctx)
{
	static const char answer[ANSWER_BYTES] = "done";
	(void)ctx;
	return gearman_job_send_complete(job, answer, sizeof answer);
}

static void *serve(void *ctx)
{
	in_port_t port = *(in_port_t *)ctx;
	gearman_worker_st *worker = gearman_worker_create(NULL);
	if (worker == NULL || gearman_worker_add_server(worker, "127.0.0.1", port) != GEARMAN_SUCCESS ||
	    gearman_worker_define_function(worker, "bench", 5, gearman_function_create(work), 0, NULL) !=
		GEARMAN_SUCCESS)
		return NULL;
	for (;;)
		(void)gearman_worker_work(worker);
}

static pid_t start_workers(in_port_t port, uint32_t count)
{
	pid_t pid = fork();
	if (pid != 0) return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (uint32_t i = 0; i < count; i++) {
		pthread_t thread;
		if (pthread_create(&thread, NULL, serve, &port) != 0) _exit(1);
	}
	for (;;)
		(void)pause();
}

/* ---- The client ---- */

struct load {
	gearman_client_st *client;
	uint64_t end_ns;
	struct measure measure;
};

struct job {
	struct load *load;
	uint64_t sent_ns;
};

static void submit(struct job *job)
{
	static const char request[REQUEST_BYTES] = "do";
	gearman_return_t result;
	job->sent_ns = measure_now_ns();
	if (gearman_client_add_task(job->load->client, NULL, job, "bench", NULL, request, sizeof request, &result) ==
	    NULL)
		job->load->measure.error_count++;
}

static gearman_return_t on_complete(gearman_task_st *task)
{
	struct job *job = gearman_task_context(task);
	uint64_t now_ns = measure_now_ns();
	measure_add(&job->load->measure, now_ns - job->sent_ns);
	if (now_ns < job->load->end_ns) submit(job);
	return GEARMAN_SUCCESS;
}

static gearman_return_t on_fail(gearman_task_st *task)
{
	const struct job *job = gearman_task_context(task);
	job->load->measure.error_count++;
	return GEARMAN_SUCCESS;
}

static bool run(const struct bench_options *options, in_port_t port, struct load *load)
{
	struct job *jobs = calloc(options->outstanding, sizeof *jobs);
	load->client = gearman_client_create(NULL);
	if (jobs == NULL || load->client == NULL ||
	    gearman_client_add_server(load->client, "127.0.0.1", port) != GEARMAN_SUCCESS)
		return false;
	gearman_client_add_options(load->client, GEARMAN_CLIENT_FREE_TASKS);
	gearman_client_set_complete_fn(load->client, on_complete);
	gearman_client_set_fail_fn(load->client, on_fail);
	load->end_ns = measure_now_ns() + options->seconds * 1000000000ull;
	for (uint32_t i = 0; i < options->outstanding; i++) {
		jobs[i].load = load;
		submit(&jobs[i]);
	}
	gearman_return_t result = gearman_client_run_tasks(load->client);
	if (result != GEARMAN_SUCCESS) fprintf(stderr, "peer-gearman: %s\n", gearman_client_error(load->client));
	free(jobs);
	return result == GEARMAN_SUCCESS;
}

static bool wait_for(in_port_t port)
{
	for (int i = 0; i < START_TRIES; i++) {
		gearman_client_st *client = gearman_client_create(NULL);
		bool there = gearman_client_add_server(client, "127.0.0.1", port) == GEARMAN_SUCCESS &&
			     gearman_client_echo(client, "x", 1) == GEARMAN_SUCCESS;
		gearman_client_free(client);
		if (there) return true;
		usleep(50000);
	}
	return false;
}

static void end(pid_t pid)
{
	if (pid <= 0) return;
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

int main(int argc, char **argv)
{
	struct bench_options options = {.clients = 4, .outstanding = 64, .seconds = 5};
	static struct load load;
	bench_options_parse(&options, argc, argv, 1);
	in_port_t port = free_port();
	pid_t server = start_server(port);
	bool ok = server > 0 && wait_for(port);
	pid_t workers = ok ? start_workers(port, options.clients < WORKER_MAX ? options.clients : WORKER_MAX) : -1;
	double cpu_before_s = measure_cpu_s(workers);
	ok = workers > 0 && run(&options, port, &load);
	double cpu_s = workers > 0 ? measure_cpu_s(workers) - cpu_before_s : 0;
	end(workers);
	end(server);
	if (ok) measure_print(&load.measure, "gearmand", options.seconds, cpu_s, options.json);
	return ok && load.measure.error_count == 0 ? 0 : 1;
}
