// One image on one host, between those before it in the chain and those behind it. For image/distribution.cc.
#pragma once

#include "crypto/block_digests.h"
#include "image/chain_frames.h"
#include "image/chain_receiver.h"
#include "image/chain_sender.h"
#include "image/distribution.h"
#include "image/piece_press.h"

#include <functional>
#include <map>
#include <memory>
#include <optional>

namespace godwit::image::chain {

class PartialPiece;
struct Share;

inline constexpr std::size_t kMostOpen = 128;      // connections of one image
inline constexpr std::size_t kMostOutgoing = 128;  // words on one that wait to be written

// A connection that this host dials, or one that was dialled to it.
struct Connection {
  explicit Connection(const sys::Executor& executor) : to_say(executor), gate(executor) {}
  ~Connection() { on_end(); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void say(ByteVector frame) {
    outgoing.push_back(std::move(frame));
    to_say.notify();
  }
  void close() {
    if (stream) stream->close();
    gate.cancel();
  }

  std::uint64_t number{0};
  std::unique_ptr<sys::PeerStream> stream;
  std::deque<ByteVector> outgoing;
  TimePoint news_at{};  // to one who is served
  sys::Signal to_say;
  sys::Gate gate;
  std::function<void()> on_end = [] {};
};

// Kept by its coroutines, which may end after the distribution.
struct Share : std::enable_shared_from_this<Share> {
  // `press` and `rate`: shared, for a share may end after the distribution.
  Share(sys::Runtime on, std::string name, Assignment now, std::shared_ptr<PiecePress> press,
        std::shared_ptr<SendRate> rate, std::shared_ptr<std::size_t> kept_frames);

  // ---- what is here
  void take_list();   // it is here now
  void look_again();  // pieces have come, or gone, that did not by this
  // Of the list as it comes. Errors: protocol, not_authentic (and it begins anew), and this host's own trouble.
  [[nodiscard]] Result<> add_to_list(const List& part);
  [[nodiscard]] Result<> put(std::uint64_t piece, const std::shared_ptr<Frame>& frame);
  // Plain or packed. Null where it is not here after all.
  [[nodiscard]] std::shared_ptr<Frame> frame_of(std::uint64_t piece);
  // Whether pieces go to this host in parts; between sites they never do.
  [[nodiscard]] bool goes_in_parts(const std::string& name) const;
  // One that comes, and counts as sent to this link from now on; null where there is none for it.
  [[nodiscard]] std::shared_ptr<PartialPiece> take_coming(Sender::Link link);
  [[nodiscard]] crypto::BlockDigests& digester();
  [[nodiscard]] News news() const;
  [[nodiscard]] std::vector<ByteVector> have_frames() const;

  void note_trouble(const Error& error);

  // ---- the two cores
  void assign(Assignment now);
  void want(const std::vector<std::uint32_t>& pieces);  // of the upstream, and of those to come
  void greet(Receiver::Attempt upstream);               // tells it all that is not said of itself
  void pace(std::uint64_t fill_bytes_per_s);            // likewise, and of those to come
  void say(Receiver::Attempt attempt, ByteVector frame);
  void adopt(Connection& connection);  // counts it until it ends
  void act();                          // does what the receiver says, after each event
  void close_served(const std::function<bool(const Connection&)>& which);
  void close();
  [[nodiscard]] sys::Task<void> wait_ended();  // after close(): all that ran
  [[nodiscard]] std::size_t place_of(const std::string& name) const { return receiver.place_of(name); }
  [[nodiscard]] TimePoint now() const { return runtime.clock.now(); }
  [[nodiscard]] ImageProgress progress() const;

  sys::Runtime runtime;
  std::string own;
  Assignment assignment;
  PieceSet mine;
  bool has_list{false};
  ByteVector list;  // as far as it has come, while it is not whole
  std::string trouble;
  TimePoint trouble_until{};  // nothing is pulled before
  std::shared_ptr<PiecePress> press;
  Frames frames;
  std::size_t run_blocks{0};  // of a piece that goes in parts; 0: they go whole
  std::map<std::uint64_t, std::shared_ptr<PartialPiece>> coming;
  std::optional<crypto::BlockDigests> own_digester;  // made when it is needed
  Sender sender;
  Receiver receiver;
  std::uint64_t fill_bytes_per_s{0};
  Receiver::Attempt greeted{0};      // the upstream that was told so
  std::deque<std::uint32_t> wanted;  // the last of them, at most kMostWanted
  std::map<std::uint64_t, std::shared_ptr<Connection>> pulling;
  std::map<std::uint64_t, std::shared_ptr<Connection>> serving;
  std::uint64_t next_link{1};
  std::size_t open{0};  // connections, with those that are ending
  bool closed{false};
  sys::Signal changed;  // there may be something to send
  sys::Gate gate;
};

// Until the share closes: time for both cores.
[[nodiscard]] sys::Task<void> tick(std::shared_ptr<Share> at);
// One attempt, from dialling to its end.
[[nodiscard]] sys::Task<void> pull(std::shared_ptr<Share> at, std::shared_ptr<Connection> to, Receiver::Dial dial);
// One that has asked, to its end.
[[nodiscard]] sys::Task<void> serve(std::shared_ptr<Share> at, std::shared_ptr<Connection> to, Hello hello);

// One frame's head. Errors: those of the stream, protocol.
[[nodiscard]] sys::Task<Result<Head>> read_head(sys::Stream& stream);
// Body of a frame that is no piece.
[[nodiscard]] sys::Task<Result<ByteVector>> read_body(sys::Stream& stream, Head head);

}  // namespace godwit::image::chain
