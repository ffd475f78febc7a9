#include "image/recipe.h"

namespace godwit::image {
namespace {

constexpr std::size_t kRecipeLimit_bytes = 64UL * 1024;

bool is_file_name(const std::string& name) {
  return !name.empty() && name.size() < 200 && name.find('/') == std::string::npos && name != "." && name != "..";
}

}  // namespace

Result<Image> read_recipe(sys::Files& files, const std::string& directory) {
  const auto where = fmt::format("image {}", directory);
  const auto text = files.read(directory + "/manifest.json", kRecipeLimit_bytes);
  if (!text) return fail(text, where);
  auto recipe = wire::decode<Recipe>(*text, kRecipeLimit_bytes);
  if (!recipe) return fail(recipe, where + "/manifest.json");
  Image image;
  const auto place = [&](const std::string& name, std::string& path) -> Result<> {
    if (name.empty()) return {};
    if (!is_file_name(name))
      return fail(Errc::invalid_argument, "{}/manifest.json: \"{}\" is no file name", where, name);
    path = directory + "/" + name;
    if (!files.exists(path)) return fail(Errc::not_found, "{}: {} is missing (build the image again)", where, name);
    return {};
  };
  for (const auto& [name, path] :
       {std::pair{&recipe->disk, &image.disk_path}, std::pair{&recipe->kernel, &image.kernel_path},
        std::pair{&recipe->initrd, &image.initrd_path}}) {
    const auto placed = place(*name, *path);
    if (!placed) return pass(placed);
  }
  image.recipe = std::move(*recipe);
  return image;
}

}  // namespace godwit::image
