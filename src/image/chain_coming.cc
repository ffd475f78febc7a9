#include "image/chain_coming.h"

#include <algorithm>

namespace godwit::image::chain {
namespace {

std::unexpected<Error> out_of_turn() { return fail(Errc::protocol, "chain: a part out of turn"); }

}  // namespace

Result<> Coming::begin(ByteView body) {
  drop();
  const auto blocks = parse_blocks(body);
  if (!blocks) return pass(blocks);
  if (!at_->has_list || blocks->number >= at_->mine.size()) return out_of_turn();
  if (piece_of_blocks(blocks->digests) != at_->assignment.pieces->digest(blocks->number)) {
    return fail(Errc::not_authentic, "piece {}: its blocks are another's", blocks->number);
  }
  auto frame = at_->frames.fresh();
  store_piece_head(frame->bytes(), blocks->number);
  piece_ = std::make_shared<PartialPiece>(*blocks, std::move(frame));
  // Where another connection brings it too, that one's goes on.
  if (!at_->mine.contains(blocks->number)) at_->coming.try_emplace(blocks->number, piece_);
  at_->changed.notify();
  return {};
}

void Coming::drop() {
  if (!piece_) return;
  const auto found = at_->coming.find(piece_->number());
  if (found != at_->coming.end() && found->second == piece_) at_->coming.erase(found);
  if (!piece_->is_whole()) piece_->lose();
  piece_.reset();
  at_->changed.notify();
}

sys::Task<Result<std::shared_ptr<Frame>>> Coming::read_run(Head head) {
  const auto space = piece_ ? piece_->space(head.body_bytes) : ByteSpan();
  if (space.empty()) co_return out_of_turn();
  for (auto rest = space; !rest.empty();) {
    const auto count = co_await to_->stream->read_some(rest);
    if (!count) co_return pass(count);
    at_->receiver.heard(at_->now(), to_->number);
    rest = rest.subspan(*count);
  }
  const auto added = piece_->add(at_->digester(), space.size());
  if (!added) co_return pass(added);
  at_->changed.notify();
  if (!piece_->is_whole()) co_return std::shared_ptr<Frame>();
  auto frame = piece_->frame();
  drop();
  co_return frame;
}

sys::Task<Result<>> write_in_parts(std::shared_ptr<Share> at, std::shared_ptr<Connection> to,
                                   std::shared_ptr<PartialPiece> piece) {
  const auto blocks = pack(piece->blocks());
  auto written = co_await to->stream->write(blocks);
  for (std::size_t sent = 0; written && sent < kPiece_blocks;) {
    const auto now = at->now();
    if (at->sender.moved(to->number)) break;
    if (now >= to->news_at) {
      to->news_at = now + kNewsEvery;
      const auto news = pack(at->news());
      written = co_await to->stream->write(news);
    } else if (const auto here = piece->blocks_here(); here > sent) {
      const auto count = std::min(here - sent, std::max<std::size_t>(at->run_blocks, 1));
      const auto run = pack_run(piece->content(sent, count));
      sent += count;
      written = co_await to->stream->write(run);
    } else if (piece->is_lost()) {
      at->sender.not_sent(to->number, piece->number());
      break;
    } else {
      co_await at->changed.wait_until(at->runtime.clock, to->news_at);
    }
  }
  co_return written;
}

}  // namespace godwit::image::chain
