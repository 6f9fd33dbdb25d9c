// Why this file exists: gRPC C++ doing the same call, in the three ways its users do it: a synchronous server, a
// callback server and an asynchronous completion-queue server, with a synchronous client at one outstanding and a
// completion-queue client above. The best of the three is what fts is compared with.
// Usage: peer-grpc sync|callback|async [flags of fts-bench rpc]; "MODE serve": the server.
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "bench/measure.h"
#include "bench/options.h"
extern "C" {
#include "bench/process.h"
}
#include "peer.grpc.pb.h"

using fts::bench::peer::Echo;
using fts::bench::peer::EchoRequest;
using fts::bench::peer::EchoResponse;

static void answer(const EchoRequest &request, EchoResponse *response) {
  response->set_sequence(request.sequence());
  response->set_sum(request.padding().size() + request.number());
}

struct SyncEcho final : Echo::Service {
  grpc::Status Call(grpc::ServerContext *, const EchoRequest *request, EchoResponse *response) override {
    answer(*request, response);
    return grpc::Status::OK;
  }
};

struct CallbackEcho final : Echo::CallbackService {
  grpc::ServerUnaryReactor *Call(grpc::CallbackServerContext *context, const EchoRequest *request,
                                 EchoResponse *response) override {
    answer(*request, response);
    auto *reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
};

// One pending accept or answer of the completion-queue server.
struct AsyncCall {
  Echo::AsyncService *service;
  grpc::ServerCompletionQueue *queue;
  grpc::ServerContext context;
  EchoRequest request;
  EchoResponse response;
  grpc::ServerAsyncResponseWriter<EchoResponse> writer{&context};
  bool answered = false;

  AsyncCall(Echo::AsyncService *s, grpc::ServerCompletionQueue *q) : service(s), queue(q) {
    service->RequestCall(&context, &request, &writer, queue, queue, this);
  }
  void proceed() {
    if (answered) {
      delete this;
      return;
    }
    new AsyncCall(service, queue);
    answered = true;
    answer(request, &response);
    writer.Finish(response, grpc::Status::OK, this);
  }
};

static int serve(const std::string &mode) {
  SyncEcho sync;
  CallbackEcho callback;
  Echo::AsyncService async;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  std::vector<std::unique_ptr<grpc::ServerCompletionQueue>> queues;
  if (mode == "sync") builder.RegisterService(&sync);
  if (mode == "callback") builder.RegisterService(&callback);
  if (mode == "async") {
    builder.RegisterService(&async);
    for (int i = 0; i < 2; i++) queues.push_back(builder.AddCompletionQueue());
  }
  auto server = builder.BuildAndStart();
  for (auto &queue : queues) {
    for (int i = 0; i < 256; i++) new AsyncCall(&async, queue.get());
    std::thread([&queue] {
      void *tag;
      for (bool ok; queue->Next(&tag, &ok);)
        if (ok) static_cast<AsyncCall *>(tag)->proceed();
    }).detach();
  }
  std::printf("%d\n", port);
  std::fflush(stdout);
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) continue;
  std::_Exit(0);
}

static void fill(EchoRequest *request, uint64_t sequence) {
  request->set_sequence(sequence);
  request->set_first_name("Santiago Lionel");
  request->set_last_name("Lorca");
  request->set_document("30904465");
  request->set_birthdate("1999-03-17");
  request->set_number(2201);
  request->set_padding(std::string(40, '\0'));
}

static void run_sync(Echo::Stub *stub, uint64_t end_ns, measure *out) {
  for (uint64_t sequence = 0, now; (now = measure_now_ns()) < end_ns; sequence++) {
    grpc::ClientContext context;
    EchoRequest request;
    EchoResponse response;
    fill(&request, sequence);
    if (stub->Call(&context, request, &response).ok())
      measure_add(out, measure_now_ns() - now);
    else
      out->error_count++;
  }
}

struct ClientCall {
  std::unique_ptr<grpc::ClientContext> context;
  EchoRequest request;
  EchoResponse response;
  grpc::Status status;
  uint64_t sent_ns = 0;
  std::unique_ptr<grpc::ClientAsyncResponseReader<EchoResponse>> reader;

  void start(Echo::Stub *stub, grpc::CompletionQueue *queue) {
    context = std::make_unique<grpc::ClientContext>();
    sent_ns = measure_now_ns();
    fill(&request, sent_ns);
    reader = stub->AsyncCall(context.get(), request, queue);
    reader->Finish(&response, &status, this);
  }
};

static void run_async(Echo::Stub *stub, uint32_t outstanding, uint64_t end_ns, measure *out) {
  grpc::CompletionQueue queue;
  std::vector<ClientCall> calls(outstanding);
  for (auto &call : calls) call.start(stub, &queue);
  void *tag;
  bool ok;
  for (uint32_t open = outstanding; open > 0 && queue.Next(&tag, &ok);) {
    auto *call = static_cast<ClientCall *>(tag);
    uint64_t now = measure_now_ns();
    if (ok && call->status.ok())
      measure_add(out, now - call->sent_ns);
    else
      out->error_count++;
    if (now < end_ns)
      call->start(stub, &queue);
    else
      open--;
  }
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  std::string mode = argv[1];
  if (argc > 2 && std::strcmp(argv[2], "serve") == 0) return serve(mode);
  bench_options options = {};
  options.clients = 1;
  options.outstanding = 64;
  options.seconds = 5;
  bench_options_parse(&options, argc, argv, 2);
  bench_process server = {};
  const char *args[] = {argv[1], "serve", nullptr};
  if (!bench_process_start(&server, "peer-grpc", args)) return 1;
  auto channel = grpc::CreateChannel("127.0.0.1:" + std::to_string(server.port), grpc::InsecureChannelCredentials());
  auto stub = Echo::NewStub(channel);
  channel->WaitForConnected(gpr_time_add(gpr_now(GPR_CLOCK_REALTIME), gpr_time_from_seconds(5, GPR_TIMESPAN)));
  measure result = {};
  double cpu_before_s = measure_cpu_s(server.pid);
  uint64_t end_ns = measure_now_ns() + options.seconds * 1000000000ull;
  if (options.outstanding == 1)
    run_sync(stub.get(), end_ns, &result);
  else
    run_async(stub.get(), options.outstanding, end_ns, &result);
  double cpu_s = measure_cpu_s(server.pid) - cpu_before_s;
  bench_process_stop(&server);
  std::string name = "grpc-" + mode;
  measure_print(&result, name.c_str(), options.seconds, cpu_s, options.json);
  return 0;
}
