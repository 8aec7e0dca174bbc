# 10 000 text files of 30 to 4000 bytes, each of which may refer to three others. References stay
# within a block of 500, so that closures stay small.
let
  blocks = 20;
  block = 500;
  modulo = n: m: n - n / m * m;
  filler = i:
    builtins.substring 0 (modulo (i * 37) 4000)
      (builtins.concatStringsSep "" (builtins.genList (k: builtins.hashString "sha256" (toString (i + k))) 63));
  make = b: builtins.foldl' (made: k:
    let
      i = b * block + k;
      earlier = j: if j < 0 || j >= builtins.length made then "" else builtins.elemAt made j;
      references = "${earlier (k / 2)} ${earlier (k - 10)} ${earlier (k / 3)}";
    in
    made ++ [ (builtins.toFile "tiny-${toString i}" "tiny ${toString i} ${references}\n${filler i}\n") ]
  ) [ ] (builtins.genList (k: k) block);
in
builtins.concatLists (builtins.genList make blocks)
