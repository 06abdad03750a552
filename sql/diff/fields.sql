-- Everything that the decision about a pair's fields needs, side by side.
--
-- in:   plan.wanted (pairs to look at), mapped left and right, what they held at the last agreement
-- out:  one row per pair; l_, r_ are the sides now, bl_, br_ at the last agreement
-- key:  pair
SELECT
  p.pair, p.left_key, p.right_key
{% for s in ["l", "r"] %}
  , {{ s }}.project AS {{ s }}_project, {{ s }}.rev AS {{ s }}_rev, {{ s }}.title AS {{ s }}_title
  , {{ s }}.updated_at AS {{ s }}_updated_at, {{ s }}.read_only AS {{ s }}_read_only, {{ s }}.raw_hash AS {{ s }}_raw_hash
  , {{ s }}.key IS NOT NULL AS {{ s }}_present
{% endfor %}
{% for f in fields %}
  , l.{{ ("n:" ~ f) | ident }} AS {{ ("l_n:" ~ f) | ident }}, l.{{ ("m:" ~ f) | ident }} AS {{ ("l_m:" ~ f) | ident }}
  , r.{{ ("n:" ~ f) | ident }} AS {{ ("r_n:" ~ f) | ident }}, r.{{ ("m:" ~ f) | ident }} AS {{ ("r_m:" ~ f) | ident }}
  , bl.{{ ("b:" ~ f) | ident }} AS {{ ("based:" ~ f) | ident }}, bl.{{ ("d:" ~ f) | ident }} AS {{ ("degraded:" ~ f) | ident }}
  , bl.{{ ("m:" ~ f) | ident }} AS {{ ("bl_m:" ~ f) | ident }}, br.{{ ("m:" ~ f) | ident }} AS {{ ("br_m:" ~ f) | ident }}
{% endfor %}
{% for s in ["l", "r"] %}{% for c in constants[loop.index0] %}
  , {{ s }}.{{ ("c:" ~ c) | ident }} AS {{ (s ~ "_c:" ~ c) | ident }}
{% endfor %}{% endfor %}
FROM plan.wanted AS p
LEFT JOIN ({{ left }}) AS l ON l.key = p.left_key
LEFT JOIN ({{ right }}) AS r ON r.key = p.right_key
LEFT JOIN ({{ base_left }}) AS bl ON bl.pair = p.pair
LEFT JOIN ({{ base_right }}) AS br ON br.pair = p.pair
