// Why this file exists: a client of etcd that does what fts's bench does to fts: puts of 100 bytes, linearizable gets,
// and the time from the death of the leader to the first put that is acknowledged. Every call goes to the leader
// (--endpoints H:P), as a client of fts's does; failover asks all members at once and takes the first answer, which
// is the best a client of etcd could do.
// Usage: peer-etcd put|get [flags of fts-bench]; peer-etcd failover --endpoints H:P,H:P,.. --kill PID
#include <grpcpp/grpcpp.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "bench/keys.h"
#include "bench/measure.h"
#include "bench/options.h"
#include "etcd.grpc.pb.h"

using etcdserverpb::KV;
using Stubs = std::vector<std::unique_ptr<KV::Stub>>;

static std::unique_ptr<KV::Stub> connect(const std::string &endpoint, int number) {
  grpc::ChannelArguments arguments;
  arguments.SetInt("fts.bench.number", number); // a connection of its own each
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 20);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 20);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 20);
  auto channel = grpc::CreateCustomChannel(endpoint, grpc::InsecureChannelCredentials(), arguments);
  channel->WaitForConnected(gpr_time_add(gpr_now(GPR_CLOCK_REALTIME), gpr_time_from_seconds(5, GPR_TIMESPAN)));
  return KV::NewStub(channel);
}

struct Call {
  std::unique_ptr<grpc::ClientContext> context;
  etcdserverpb::PutRequest put;
  etcdserverpb::PutResponse put_response;
  etcdserverpb::RangeRequest get;
  etcdserverpb::RangeResponse get_response;
  grpc::Status status;
  KV::Stub *stub = nullptr;
  uint64_t sent_ns = 0;
  std::unique_ptr<grpc::ClientAsyncResponseReader<etcdserverpb::PutResponse>> putter;
  std::unique_ptr<grpc::ClientAsyncResponseReader<etcdserverpb::RangeResponse>> getter;

  void start(bool puts, const std::string &key, uint32_t timeout_ms, grpc::CompletionQueue *queue) {
    context = std::make_unique<grpc::ClientContext>();
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(timeout_ms));
    sent_ns = measure_now_ns();
    if (puts) {
      put.set_key(key);
      put.set_value(std::string(100, 'x'));
      putter = stub->AsyncPut(context.get(), put, queue);
      putter->Finish(&put_response, &status, this);
    } else {
      get.set_key(key);
      getter = stub->AsyncRange(context.get(), get, queue);
      getter->Finish(&get_response, &status, this);
    }
  }
};

struct Keys {
  bench_keys keys;
  uint64_t random = bench_random_of(0);
  std::string next() {
    char key[BENCH_KEY_BYTES + 1];
    bench_key_print(key, bench_keys_draw(&keys, &random));
    return key;
  }
};

// All keys, so that each read finds one.
static bool fill(const Stubs &stubs, uint32_t count) {
  grpc::CompletionQueue queue;
  std::vector<Call> calls(256);
  uint32_t next = 0, open = 0;
  auto start = [&](Call *call) {
    char key[BENCH_KEY_BYTES + 1];
    bench_key_print(key, next);
    call->stub = stubs[next % stubs.size()].get();
    call->start(true, key, 10000, &queue);
    next++;
    open++;
  };
  for (auto &call : calls)
    if (next < count) start(&call);
  void *tag;
  bool ok, good = true;
  for (; open > 0 && queue.Next(&tag, &ok); ) {
    auto *call = static_cast<Call *>(tag);
    open--;
    good = good && ok && call->status.ok();
    if (next < count) start(call);
  }
  return good;
}

static int run(bool puts, const bench_options &options) {
  Stubs stubs;
  grpc::CompletionQueue queue;
  std::vector<Call> calls(options.outstanding);
  measure result = {};
  for (uint32_t i = 0; i < options.clients; i++) stubs.push_back(connect(options.endpoints, static_cast<int>(i)));
  Keys keys;
  bench_keys_init(&keys.keys, options.keys, options.skewed);
  if (!puts && !options.filled && !fill(stubs, options.keys)) return 1;
  double cpu_before_s = measure_cpu_s(0) + measure_cpu_of_s(options.pids);
  uint64_t end_ns = measure_now_ns() + options.seconds * 1000000000ull;
  for (uint32_t i = 0; i < options.outstanding; i++) {
    calls[i].stub = stubs[i % stubs.size()].get();
    calls[i].start(puts, keys.next(), 10000, &queue);
  }
  void *tag;
  bool ok;
  for (uint32_t open = options.outstanding; open > 0 && queue.Next(&tag, &ok);) {
    auto *call = static_cast<Call *>(tag);
    uint64_t now = measure_now_ns();
    if (ok && call->status.ok())
      measure_add(&result, now - call->sent_ns);
    else
      result.error_count++;
    if (now < end_ns)
      call->start(puts, keys.next(), 10000, &queue);
    else
      open--;
  }
  measure_print(&result, puts ? "etcd-put" : "etcd-get", options.seconds, measure_cpu_s(0) + measure_cpu_of_s(options.pids) - cpu_before_s, options.json);
  return result.error_count == 0 ? 0 : 1;
}

// A put to every member at once; when the first of them acknowledged it, 0: none did.
static uint64_t put_anywhere(const Stubs &stubs, uint64_t sequence) {
  grpc::CompletionQueue queue;
  std::vector<Call> calls(stubs.size());
  uint64_t done_ns = 0;
  for (size_t i = 0; i < stubs.size(); i++) {
    calls[i].stub = stubs[i].get();
    calls[i].start(true, "bench/" + std::to_string(sequence % 10000), 20, &queue);
  }
  void *tag;
  bool ok;
  for (size_t open = calls.size(); open > 0 && queue.Next(&tag, &ok); open--)
    if (done_ns == 0 && ok && static_cast<Call *>(tag)->status.ok()) done_ns = measure_now_ns();
  return done_ns;
}

static int failover(const std::string &endpoints, pid_t leader) {
  Stubs stubs;
  for (size_t at = 0; at <= endpoints.size();) {
    size_t comma = std::min(endpoints.find(',', at), endpoints.size());
    stubs.push_back(connect(endpoints.substr(at, comma - at), static_cast<int>(at)));
    at = comma + 1;
  }
  uint64_t sequence = 0, done_ns = 0;
  for (uint64_t end_ns = measure_now_ns() + 300000000ull; measure_now_ns() < end_ns;) put_anywhere(stubs, sequence++);
  uint64_t killed_ns = measure_now_ns();
  if (kill(leader, SIGKILL) != 0) return 1;
  while ((done_ns = put_anywhere(stubs, sequence++)) == 0)
    if (measure_now_ns() - killed_ns > 30000000000ull) return 1;
  std::printf("{\"name\":\"etcd\",\"failover_ms\":%.1f}\n", static_cast<double>(done_ns - killed_ns) / 1e6);
  return 0;
}

int main(int argc, char **argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "failover" && argc == 6 && std::strcmp(argv[2], "--endpoints") == 0 && std::strcmp(argv[4], "--kill") == 0)
    return failover(argv[3], static_cast<pid_t>(std::atoi(argv[5])));
  bench_options options = {};
  options.clients = 1;
  options.outstanding = 64;
  options.seconds = 5;
  options.keys = 10000;
  if (what == "put" || what == "get") bench_options_parse(&options, argc, argv, 2);
  if (options.endpoints == nullptr) {
    std::fputs("peer-etcd: put|get --endpoints H:P [flags], or failover --endpoints H:P,.. --kill PID\n", stderr);
    return 2;
  }
  return run(what == "put", options);
}
