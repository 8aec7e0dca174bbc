# 300 text files of 1 to 60 KB. Each refers to two others and to one of the last twenty, as packages do to libraries;
# the closure of the first one is all of them.
let
  count = 300;
  modulo = n: m: n - n / m * m;
  line = i: k: builtins.hashString "sha256" "${toString i} ${toString k}";
  filler = i: builtins.concatStringsSep "\n" (builtins.genList (line i) (16 + modulo (i * 37) 900));
  file = made: i:
    let
      below = builtins.filter (j: j < count) [ (2 * i + 1) (2 * i + 2) (count - 1 - modulo i 20) ];
      references = map (j: made.${toString j}) (builtins.filter (j: j > i) below);
    in
    made // { ${toString i} = builtins.toFile "file-${toString i}" "${toString references}\n${filler i}\n"; };
in
(builtins.foldl' file { } (builtins.genList (k: count - 1 - k) count))."0"
