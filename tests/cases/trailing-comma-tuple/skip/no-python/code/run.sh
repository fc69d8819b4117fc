./train --private
