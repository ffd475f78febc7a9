// All secure sessions of this host: with each peer host one, made by a Noise IKpsk2 handshake in the shape that
// WireGuard gave it. Pure: datagrams, time and chance in; datagrams, what was heard and the next deadline out. Format
// and rules: docs/protocols/session.md. Source: Donenfeld, WireGuard (NDSS 2017); replay window: RFC 6479.
#pragma once

#include "base/time.h"
#include "overlay/cookies.h"
#include "overlay/deadlines.h"
#include "overlay/index_table.h"
#include "overlay/session_admission.h"
#include "overlay/session_peer.h"
#include "overlay/session_types.h"

#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

namespace godwit::overlay {

// What a datagram turned out to be.
enum class Heard : std::uint8_t {
  dropped,    // nothing; `why` says so
  data,       // `payload`, not empty, never before delivered
  keepalive,  // data without payload: its counter is spent all the same
  handshake,  // a message of a handshake; `peer` is set where it was authentic
};

struct Opened {
  Heard what{Heard::dropped};
  Refusal why{Refusal::none};
  // Set where the datagram was authentic and is not a repetition.
  PeerId peer{kNobody};
  // Where it came from is where `peer` is now: its counter is the greatest yet of the latest session, or it is the
  // answer to our own first message. What comes late doesn't tell; nor does a first message, which may be an old one,
  // recorded, until something comes by its session.
  bool newest{false};
  // With this datagram seal() began to use a new session with `peer`: what was kept for it can go.
  bool ready{false};
  std::uint32_t session{0};  // the session's number on this host; counters of another number begin at 0 again
  std::uint64_t counter{0};
  ByteSpan payload;  // inside the datagram
};

// A datagram of our own accord: a handshake's message, a cookie, a keepalive.
struct Outgoing {
  PeerId peer{kNobody};  // nobody: an answer to a stranger
  sys::UdpEndpoint to;   // an answer goes where the question came from; none: by the best path to `peer`
  ByteVector bytes;
};

// Asked about each authentic first message of the native profile. `known` is who has that key here, or kNobody;
// `record` is what the initiator says of itself, at most kMostRecord bytes, empty if nothing. Returns who speaks,
// kNobody to refuse. May add() the peer, and call no other function of Sessions.
using Introduction = std::function<PeerId(TimePoint now, const crypto::PublicKey& key, ByteView record, PeerId known)>;

class Sessions {
 public:
  using WallClock = std::function<WallTime()>;

  // `ciphers` and `random` must outlive it. `wall` dates our handshakes: it may jump, and then sessions still come
  // about.
  Sessions(crypto::KeyPair own, sys::Random& random, WallClock wall, const crypto::Ciphers& ciphers);
  Sessions(const Sessions&) = delete;
  Sessions& operator=(const Sessions&) = delete;
  ~Sessions();

  // kNobody when kMostPeers are there, or the key is our own or no key at all. A key that is there already keeps its
  // PeerId; its sessions end if profile or psk differ.
  [[nodiscard]] PeerId add(const PeerSpec& spec);
  void remove(PeerId peer);
  [[nodiscard]] PeerId find(const crypto::PublicKey& key) const;
  [[nodiscard]] const PeerSpec* spec(PeerId peer) const;  // valid until remove()
  // None (the beginning): who is not configured is refused, who is, heard.
  void set_introduction(Introduction introduction) { introduction_ = std::move(introduction); }
  // What our own first messages of the native profile carry. Errors: invalid_argument (longer than kMostRecord).
  [[nodiscard]] Result<> set_record(ByteView record);
  [[nodiscard]] ByteView record() const { return record_; }

  // `datagram` is kSealHeader bytes, the payload, kSealTag bytes: writes the header, encrypts in place. WireGuard's
  // payload is filled with zeros to a multiple of 16 by the caller. False: no session with this peer now. Then a
  // handshake is under way, `ready` will say when it is done, and the datagram is as it was. Allocates nothing, but
  // where a handshake begins.
  [[nodiscard]] bool seal(TimePoint now, PeerId peer, ByteSpan datagram);
  // True: seal() would seal.
  [[nodiscard]] bool ready(TimePoint now, PeerId peer) const;
  // When the session by which seal() would seal was made.
  [[nodiscard]] std::optional<TimePoint> since(TimePoint now, PeerId peer) const;
  [[nodiscard]] SealedBytes bytes(PeerId peer) const;
  // Makes a session without having anything to say: after a restart, all peers' old ones are void.
  void begin(TimePoint now, PeerId peer);
  // The same at once, in place of what is under way: what the peer refused before may be another thing now. Asks more
  // often than every kRekeyTimeout: only for what happens seldom.
  void begin_anew(TimePoint now, PeerId peer);

  // One received datagram of any type, from any source. Decrypts in place; what was refused may be altered.
  // Data costs no allocation. `from` is only used to answer and to tell sources apart under load.
  [[nodiscard]] Opened on_datagram(TimePoint now, const sys::UdpEndpoint& from, ByteSpan datagram);
  // What has a time: repetitions, keepalives, ends.
  void poll(TimePoint now);
  // When poll() has something to do, perhaps; never later than that.
  [[nodiscard]] std::optional<TimePoint> next_deadline() const { return deadlines_.next(); }
  // To be sent, in this order. After every call above.
  [[nodiscard]] std::vector<Outgoing> take_out() { return std::exchange(out_, {}); }
  [[nodiscard]] bool has_out() const { return !out_.empty(); }

  [[nodiscard]] const crypto::PublicKey& public_key() const { return own_.public_key(); }
  [[nodiscard]] const SessionCounters& counters() const { return counters_; }
  [[nodiscard]] std::size_t peers() const { return by_key_.size(); }

 private:
  struct Where {  // a datagram that is being read
    sys::UdpEndpoint from;
    ByteSpan bytes;
    Profile profile;
  };

  Opened refuse(Refusal why);
  SessionPeer* peer_of(PeerId id) const;
  void arm(SessionPeer& peer, TimePoint at) { deadlines_.at_most(slot_of(peer.id), at); }
  void run_timers(TimePoint now, SessionPeer& peer);
  void drop_keypair(std::unique_ptr<Keypair>& keypair);
  void end_sessions(SessionPeer& peer);
  void count_half_open(SessionPeer& peer);

  // Handshakes: session_handshake.cc.
  void begin_handshake(TimePoint now, SessionPeer& peer);
  void end_handshake(SessionPeer& peer);
  void send_initiation(TimePoint now, SessionPeer& peer);
  void send_keepalive(TimePoint now, SessionPeer& peer);
  Opened on_initiation(TimePoint now, const Where& where);
  Opened on_response(TimePoint now, const Where& where);
  Opened on_cookie(TimePoint now, const Where& where);
  Refusal admit(TimePoint now, const Where& where);
  Refusal check_again(TimePoint now, const sys::UdpEndpoint& from, const FirstMessage& first, SessionPeer& peer);
  Opened answer(TimePoint now, const Where& where, NoiseResponder& noise, SessionPeer& peer);
  Tai64n next_timestamp();
  std::uint32_t draw_index();
  std::unique_ptr<Keypair> make_keypair(TimePoint now, const SessionPeer& peer, const TransportKeys& keys);

  Opened on_data(TimePoint now, const Where& where);
  void retire(SessionPeer& peer, std::unique_ptr<Keypair> keypair);
  bool promote(TimePoint now, SessionPeer& peer);
  void keep_fresh(TimePoint now, SessionPeer& peer, const Keypair& keypair);

  crypto::KeyPair own_;
  sys::Random& random_;
  WallClock wall_;
  const crypto::Ciphers& ciphers_;
  ByteVector record_;
  Introduction introduction_;

  std::vector<std::unique_ptr<SessionPeer>> slots_;
  std::vector<std::uint32_t> free_slots_;
  std::uint32_t generation_{0};
  std::unordered_map<crypto::PublicKey, PeerId, KeyHash> by_key_;
  IndexTable indices_;
  Deadlines deadlines_;
  CookieOffice cookies_;
  SessionAdmission admission_;
  std::size_t half_open_{0};
  std::uint32_t last_session_{0};
  Tai64n last_timestamp_{};
  std::vector<Outgoing> out_;
  SessionCounters counters_;
};

}  // namespace godwit::overlay
