#include "api/image_routes.h"

#include <charconv>

namespace godwit::api {
namespace {

using Work = std::function<Result<sys::HttpResponse>(image::Intake&, const image::IntakeCaller&, const Call&)>;

sys::Task<Result<sys::HttpResponse>> at_once(Result<sys::HttpResponse> response) { co_return response; }

Route& add(Router& router, image::Intake* intake, const AdmitCall& admit, std::string method, std::string pattern,
           std::string summary, Work work) {
  Route route;
  route.method = std::move(method);
  route.pattern = std::move(pattern);
  route.summary = std::move(summary);
  route.answer = type_ref<wire::ImageContent>();
  route.handler = [intake, admit, work = std::move(work)](Call call) {
    const auto admitted = admit(call);
    if (!admitted) return at_once(pass(admitted));
    if (!intake) return at_once(fail(Errc::unsupported, "no images are kept here"));
    return at_once(work(*intake, *admitted, call));
  };
  return router.add(std::move(route));
}

Result<sys::HttpResponse> bytes_answer(Result<std::string> bytes) {
  if (!bytes) return pass(bytes);
  return sys::HttpResponse{200, std::move(*bytes), {{"content-type", "application/octet-stream"}}, {}};
}

Result<std::uint64_t> number_in_path(const Call& call, const std::string& name) {
  const auto& text = call.in_path.at(name);
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc{} && end == text.data() + text.size()) return number;
  return fail(Errc::invalid_argument, "{}: \"{:.32}\" is no number", name, text);
}

}  // namespace

void add_image_content_routes(Router& router, image::Intake* intake, const AdmitCall& admit) {
  add(router, intake, admit, "POST", "/v1/image-contents",
      "Says which image is to come; what of it is there stays. Asking twice is asking once",
      [](image::Intake& at, const image::IntakeCaller& caller, const Call& call) -> Result<sys::HttpResponse> {
        const auto offer = decode_body<wire::ImageOffer>(call);
        if (!offer) return pass(offer);
        return encode_answer(at.offer(caller, *offer));
      })
      .request = type_ref<wire::ImageOffer>();
  add(router, intake, admit, "GET", "/v1/image-contents/{id}", "What of an image is there",
      [](image::Intake& at, const image::IntakeCaller& caller, const Call& call) {
        return encode_answer(at.look(caller, call.id()));
      });
  auto& list =
      add(router, intake, admit, "PUT", "/v1/image-contents/{id}/list/{first}",
          "Takes digests of an image's pieces, from the one with that number on, in order",
          [](image::Intake& at, const image::IntakeCaller& caller, const Call& call) -> Result<sys::HttpResponse> {
            const auto first = number_in_path(call, "first");
            if (!first) return pass(first);
            return encode_answer(at.add_to_list(caller, call.id(), *first, as_bytes(call.request.body)));
          });
  list.bytes_in = "a zstd frame, of at most 65,536 pieces 32 bytes each";
  list.answer = type_ref<Nothing>();
  auto& known =
      add(router, intake, admit, "POST", "/v1/image-contents/{id}/known", "Which blocks are there in other images",
          [](image::Intake& at, const image::IntakeCaller& caller, const Call& call) {
            return bytes_answer(at.known(caller, call.id(), as_bytes(call.request.body)));
          });
  known.bytes_in = "of each of at most 256 pieces the tags of its 16 blocks, 8 bytes each";
  known.bytes_out = "two bytes a piece, big-endian; bit n: its block n is there";
  auto& prefixes = add(router, intake, admit, "POST", "/v1/image-contents/{id}/prefixes",
                       "Which images are there that parcels may be compressed against",
                       [](image::Intake& at, const image::IntakeCaller& caller, const Call& call) {
                         return bytes_answer(at.prefixes(caller, call.id(), as_bytes(call.request.body)));
                       });
  prefixes.bytes_in = "the ids of at most 4 images, 32 bytes each";
  prefixes.bytes_out = "a byte each; 1: it is there, and the caller may use it";
  auto& take = add(router, intake, admit, "POST", "/v1/image-contents/{id}/parcels", "Takes pieces of an image",
                   [](image::Intake& at, const image::IntakeCaller& caller, const Call& call) {
                     return encode_answer(at.take(caller, call.id(), as_bytes(call.request.body)));
                   });
  take.bytes_in = "a parcel: docs/formats/parcel.md";
  take.answer = type_ref<wire::ParcelReceipt>();
}

namespace {

using Give = std::function<Result<sys::HttpResponse>(image::Outlet&, const image::IntakeCaller&, const Call&)>;

Route& add_outlet(Router& router, image::Outlet* outlet, const AdmitCall& admit, std::string method,
                  std::string pattern, std::string summary, Give give) {
  Route route;
  route.method = std::move(method);
  route.pattern = std::move(pattern);
  route.summary = std::move(summary);
  route.handler = [outlet, admit, give = std::move(give)](Call call) {
    const auto admitted = admit(call);
    if (!admitted) return at_once(pass(admitted));
    if (!outlet) return at_once(fail(Errc::unsupported, "no images are kept here"));
    // Whether it is here is nobody's business who may not use it.
    if (admitted->may_use && !admitted->may_use(call.id())) {
      return at_once(fail(Errc::not_found, "image {:.12}…: there is none for {}", call.id(), admitted->who));
    }
    return at_once(give(*outlet, *admitted, call));
  };
  return router.add(std::move(route));
}

}  // namespace

void add_image_outlet_routes(Router& router, image::Outlet* outlet, const AdmitCall& admit) {
  add_outlet(router, outlet, admit, "GET", "/v1/image-contents/{id}/manifest", "The manifest of an image",
             [](image::Outlet& at, const image::IntakeCaller&, const Call& call) {
               return encode_answer(at.offer(call.id()));
             })
      .answer = type_ref<wire::ImageOffer>();
  add_outlet(router, outlet, admit, "GET", "/v1/image-contents/{id}/list/{first}",
             "Gives digests of an image's pieces, from the one with that number on",
             [](image::Outlet& at, const image::IntakeCaller&, const Call& call) -> Result<sys::HttpResponse> {
               const auto first = number_in_path(call, "first");
               if (!first) return pass(first);
               return bytes_answer(at.list(call.id(), *first));
             })
      .bytes_out = "a zstd frame, of at most 65,536 pieces 32 bytes each";
  auto& tags = add_outlet(router, outlet, admit, "POST", "/v1/image-contents/{id}/tags", "Which blocks pieces have",
                          [](image::Outlet& at, const image::IntakeCaller&, const Call& call) {
                            return bytes_answer(at.tags(call.id(), as_bytes(call.request.body)));
                          });
  tags.bytes_in = "the numbers of at most 256 pieces, 4 bytes each, big-endian";
  tags.bytes_out = "of each piece the tags of its 16 blocks, 8 bytes each";
  auto& pieces = add_outlet(router, outlet, admit, "POST", "/v1/image-contents/{id}/pieces", "Gives pieces of an image",
                            [](image::Outlet& at, const image::IntakeCaller&, const Call& call) {
                              return bytes_answer(at.parcel(call.id(), as_bytes(call.request.body)));
                            });
  pieces.bytes_in = "of at most 256 pieces the number, 4 bytes, and 2 bytes; bit n: its block n is to come; big-endian";
  pieces.bytes_out = "a parcel: docs/formats/parcel.md; of the first so many of them";
  auto& sketches = add_outlet(router, outlet, admit, "POST", "/v1/image-contents/{id}/sketches",
                              "What blocks are known to be like by",
                              [](image::Outlet& at, const image::IntakeCaller&, const Call& call) {
                                return bytes_answer(at.sketches(call.id(), as_bytes(call.request.body)));
                              });
  sketches.bytes_in = "of at most 256 pieces the number, 4 bytes, and 2 bytes; bit n: its block n is meant; big-endian";
  sketches.bytes_out = "of each of those blocks its sketch, 24 bytes: docs/protocols/image-store.md";
  auto& differences =
      add_outlet(router, outlet, admit, "POST", "/v1/image-contents/{id}/differences",
                 "Gives pieces of an image as they differ from what both have",
                 [](image::Outlet& at, const image::IntakeCaller& caller, const Call& call) {
                   return bytes_answer(at.differences(call.id(), as_bytes(call.request.body), caller.may_use));
                 });
  differences.bytes_in = "a parcel's prefix, without its bytes; then as for pieces";
  differences.bytes_out = "a parcel: docs/formats/parcel.md; of the first so many of them";
}

}  // namespace godwit::api
